//! What operators ask of certificates: whether each is served from its files as they are now, and which ends first.
//! tls-terminator offers it, `bulkhead status` shows it.

use serde::{Deserialize, Serialize};

/// Bytes of an answer that are spent on certificates that need somebody, and of one text of them.
const ROOM: usize = 40 * 1024;
const LONGEST: usize = 500;

/// Who knows the certificates of a process.
pub trait CertificateDesk {
    /// How they are now.
    fn report(&self) -> CertificateReport;
}

/// How the certificates of a process are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateReport {
    /// How many the configuration names.
    pub pairs: u64,
    /// The site whose certificate ends first: its first name, the moment, the time until then.
    pub first_end: Option<(Box<str>, Box<str>, Box<str>)>,
    /// Those that need somebody, the most urgent first.
    pub notable: Vec<CertificateState>,
    /// Those that do and are not shown because they do not fit.
    pub left_out: u64,
}

/// A certificate that needs somebody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateState {
    /// The site's first name.
    pub site: Box<str>,
    /// The file of its chain.
    pub file: Box<str>,
    /// `missing`, `expired`, `kept`, `ends soon`, `unstapled`.
    pub state: Box<str>,
    /// What is the matter.
    pub why: Box<str>,
}

impl CertificateReport {
    /// So much of it that it fits into an answer.
    #[must_use]
    pub fn fitting(mut self) -> Self {
        let mut room = ROOM;
        let cut =
            |text: &mut Box<str>| *text = text.get(..text.floor_char_boundary(LONGEST)).unwrap_or_default().into();
        let mut fit = 0;
        for state in &mut self.notable {
            [&mut state.site, &mut state.file, &mut state.why].into_iter().for_each(cut);
            let size = 64 + state.site.len() + state.file.len() + state.why.len();
            let Some(rest) = room.checked_sub(size) else { break };
            (room, fit) = (rest, fit + 1);
        }
        self.left_out += u64::try_from(self.notable.len() - fit).unwrap_or(u64::MAX);
        self.notable.truncate(fit);
        self
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::ipc::codec::FrameWriter;
    use crate::ipc::messages::control::ControlReply;

    #[test]
    fn the_largest_answer_fits_into_a_frame_and_says_what_is_left_out() {
        let state = CertificateState {
            site: "s".repeat(253).into(),
            file: "/é".repeat(2000).into(),
            state: "missing".into(),
            why: "because ".repeat(1000).into(),
        };
        let report = CertificateReport { pairs: 5000, notable: vec![state; 5000], ..CertificateReport::default() };
        let fit = report.fitting();
        let shown = u64::try_from(fit.notable.len()).unwrap();
        assert!(shown > 20 && shown + fit.left_out == 5000, "{shown}");
        let mut frame = FrameWriter::default();
        assert!(frame.push(1, &ControlReply::Certificates(Box::new(fit))).unwrap());
    }
}
