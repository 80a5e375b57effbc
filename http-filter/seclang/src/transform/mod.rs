//! Transformations: what a rule does to a value before its operator looks at it (`t:lowercase`, `t:urlDecodeUni` ...), byte for byte as
//! ModSecurity 3 does it. Pure; never panics, whatever the bytes.

use crate::mask::ByteMask;

/// One transformation of CRS 3.3 and 4. `t:none` is not one: it empties the list of those before it, and [`Transform::parse`] says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Transform {
    /// No change; as a name in a rule it discards the transformations named before it.
    None,
    /// ASCII letters to lower case.
    Lowercase,
}

impl Transform {
    /// The transformation of this name (`urlDecodeUni`; letter case does not matter), or `None` if there is none.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        match () {
            () if name.eq_ignore_ascii_case("none") => Some(Self::None),
            () if name.eq_ignore_ascii_case("lowercase") => Some(Self::Lowercase),
            () => None,
        }
    }

    /// Transforms `input` into `out` (which is cleared first). True if `out` holds a value that differs from `input`; false if nothing
    /// changes, and then `out` is empty.
    pub fn apply(self, input: &[u8], out: &mut Vec<u8>) -> bool {
        out.clear();
        if self == Self::Lowercase && input.iter().any(u8::is_ascii_uppercase) {
            out.extend(input.iter().map(u8::to_ascii_lowercase));
            return true;
        }
        false
    }

    /// False only if no value with exactly these kinds of bytes is changed by [`Transform::apply`]: then the caller need not call it.
    #[must_use]
    pub fn may_change(self, mask: ByteMask) -> bool {
        match self {
            Self::None => false,
            Self::Lowercase => mask.intersects(ByteMask::UPPER),
        }
    }
}
