//! Texts with macros: `msg:'... %{TX.1}'`, `setvar:tx.a_%{MATCHED_VAR_NAME}=1`, `@within %{tx.allowed_methods}`.

use crate::error::Mistake;
use crate::variable::{Target, macro_target};

/// One piece of a text.
#[derive(Clone, Debug)]
pub(crate) enum Piece {
    Plain(Box<[u8]>),
    Macro(Target),
}

/// A text, cut at its macros at load.
#[derive(Clone, Debug, Default)]
pub(crate) struct Text {
    pub(crate) pieces: Vec<Piece>,
}

impl Text {
    /// Cuts `text` at every `%{...}`. A macro that names nothing known is a mistake: at run time it would silently be empty.
    pub(crate) fn parse(text: &str) -> Result<Self, Mistake> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find("%{") {
            let Some(length) = rest.get(at..).and_then(|tail| tail.find('}')) else { break };
            let inner = rest.get(at + 2..at + length).unwrap_or_default();
            plain(&mut pieces, rest.get(..at).unwrap_or_default());
            match macro_target(inner) {
                Some(target) => pieces.push(Piece::Macro(target?)),
                None => return Err(Mistake::new(inner, "unknown variable in a macro")),
            }
            rest = rest.get(at + length + 1..).unwrap_or_default();
        }
        plain(&mut pieces, rest);
        pieces.shrink_to_fit();
        Ok(Self { pieces })
    }

    /// The whole text if it holds no macro.
    pub(crate) fn constant(&self) -> Option<&[u8]> {
        match self.pieces.as_slice() {
            [] => Some(b""),
            [Piece::Plain(text)] => Some(text),
            _ => None,
        }
    }
}

fn plain(pieces: &mut Vec<Piece>, text: &str) {
    if !text.is_empty() {
        pieces.push(Piece::Plain(text.as_bytes().into()));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn macros_are_cut_out() {
        assert_eq!(Text::parse("a %{TX.0} b").unwrap().pieces.len(), 3);
        assert_eq!(Text::parse("100%{open").unwrap().constant(), Some(&b"100%{open"[..]));
        assert!(Text::parse("%{NOPE.x}").is_err());
    }
}
