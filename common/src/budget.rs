//! What a process may need under a configuration: descriptors and memory, known before it starts. Pure: a configuration in, sums out.
//!
//! Every component makes its own sums, beside the constants that they come from (`budget.rs` of each), and prints them with
//! `PROCESS --budget FILE`; `bulkhead check` shows them together. A cap of the configuration that bounds a sum is named with it, so that
//! whoever has too little knows which one to lower. Descriptors are counted at their worst and are a bound. Bytes are an estimate: what
//! the process itself keeps; what the kernel keeps in socket buffers, code and the allocator's slack are not in it.

use std::fmt;

use crate::config::Config;
use crate::ipc::channel::MAX_DESCRIPTORS;
use crate::ipc::directory::{CHANNELS_OF_A_LETTER_BOX, MAX_INSTANCES};
use crate::ipc::receiver::MAX_CHANNELS;
use crate::process::Process;
use crate::wiring::{EDGES, Edge};

/// Standard streams, the event loop and its wake-up, the pipe of signals, the way of the log, the manager's socket, and some to spare.
const OWN: u64 = 24;
/// What one sending end has open: the folder, the watch on it, and the handle by which the sandbox knows it.
const OF_A_SENDER: u64 = 3;

/// What one process may need.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Budget {
    /// Connections of clients at once.
    pub connections: u64,
    /// Descriptors that its unit grants (`LimitNOFILE=`).
    pub limit: u64,
    /// Descriptors at most.
    pub descriptors: Vec<Need>,
    /// Bytes when every place is taken and nothing is under way.
    pub idle: Vec<Need>,
    /// Bytes on top of that when every buffer is full.
    pub busy: Vec<Need>,
}

/// A part of a sum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    /// How many, or how many bytes.
    pub amount: u64,
    /// The key that bounds it; empty: nothing that could be configured.
    pub key: &'static str,
    /// For people.
    pub what: &'static str,
}

/// A part of a sum that was read again ([`Budget::read`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// As in [`Need`].
    pub amount: u64,
    /// As in [`Need`].
    pub key: String,
    /// As in [`Need`].
    pub what: String,
}

/// A budget that another process has printed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reading {
    /// As in [`Budget`].
    pub connections: u64,
    /// As in [`Budget`].
    pub limit: u64,
    /// As in [`Budget`].
    pub descriptors: Vec<Told>,
    /// As in [`Budget`].
    pub idle: Vec<Told>,
    /// As in [`Budget`].
    pub busy: Vec<Told>,
}

/// `amount` of `what`, bounded by `key`.
pub const fn need(amount: u64, key: &'static str, what: &'static str) -> Need {
    Need { amount, key, what }
}

/// A count as a term of a sum.
pub fn wide(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// `count` things of `each`; stays at the largest number there is.
pub fn times(count: usize, each: usize) -> u64 {
    wide(count).saturating_mul(wide(each))
}

/// Parcels that a sender holds until somebody has taken them, with one descriptor each: those that wait, and those that were sent.
pub fn parcels(max_waiting: usize, max_unacknowledged: usize, receivers: usize) -> u64 {
    wide(max_waiting).saturating_add(times(max_unacknowledged, receivers))
}

/// What every process has besides its connections: itself, and its ends of the edges.
pub fn shared(process: Process, config: &Config) -> [Need; 2] {
    let used = |edge: &&Edge| edge.is_used(config);
    let channels = wide(MAX_CHANNELS);
    let receives = |_: &Edge| 1 + channels + wide(MAX_DESCRIPTORS);
    let sends = |edge: &Edge| {
        let most = if edge.is_succession() { CHANNELS_OF_A_LETTER_BOX } else { MAX_INSTANCES };
        OF_A_SENDER + wide(most)
    };
    let receiving: u64 = EDGES.iter().filter(|edge| edge.receiver == process).filter(used).map(receives).sum();
    let sending: u64 = EDGES.iter().filter(|edge| edge.sender == process).filter(used).map(sends).sum();
    let asked = 2 * (1 + channels); // the control socket, and that for figures
    [need(OWN, "", "the process itself"), need(receiving + sending + asked, "", "channels to other processes, at most")]
}

/// The log's memory, in every process.
pub fn log(config: &Config) -> Need {
    need(wide(config.log.buffer), "log.buffer", "log lines that wait")
}

impl fmt::Display for Budget {
    /// A line per part: `KIND <tab> AMOUNT <tab> KEY <tab> WHAT`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "connections\t{}\t\t", self.connections)?;
        write!(f, "limit\t{}\t\t", self.limit)?;
        for (kind, needs) in [("descriptors", &self.descriptors), ("idle", &self.idle), ("busy", &self.busy)] {
            for Need { amount, key, what } in needs {
                write!(f, "\n{kind}\t{amount}\t{key}\t{what}")?;
            }
        }
        Ok(())
    }
}

impl Reading {
    /// Reads what [`Budget`] prints. `None`: it is not that.
    pub fn of(text: &str) -> Option<Self> {
        let mut reading = Self::default();
        for line in text.lines() {
            let mut fields = line.split('\t');
            let (kind, amount) = (fields.next()?, fields.next()?.parse().ok()?);
            let told = Told { amount, key: fields.next()?.to_owned(), what: fields.next()?.to_owned() };
            match kind {
                "connections" => reading.connections = amount,
                "limit" => reading.limit = amount,
                "descriptors" => reading.descriptors.push(told),
                "idle" => reading.idle.push(told),
                "busy" => reading.busy.push(told),
                _ => return None,
            }
        }
        (reading.limit > 0).then_some(reading)
    }

    /// Descriptors in all.
    pub fn most_descriptors(&self) -> u64 {
        sum(&self.descriptors)
    }

    /// Bytes with every place taken and nothing under way.
    pub fn idle_bytes(&self) -> u64 {
        sum(&self.idle)
    }

    /// Bytes with every buffer full.
    pub fn most_bytes(&self) -> u64 {
        self.idle_bytes().saturating_add(sum(&self.busy))
    }
}

fn sum(parts: &[Told]) -> u64 {
    parts.iter().fold(0, |sum, part| sum.saturating_add(part.amount))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_printed_is_read_again() {
        let budget = Budget {
            connections: 7,
            limit: 1000,
            descriptors: vec![need(7, "a.max", "clients"), need(9, "", "the rest")],
            idle: vec![need(1 << 20, "", "buffers")],
            busy: vec![need(u64::MAX, "b.max", "all of it")],
        };
        let read = Reading::of(&budget.to_string()).unwrap();
        assert_eq!((read.connections, read.limit, read.most_descriptors()), (7, 1000, 16));
        assert_eq!((read.idle_bytes(), read.most_bytes()), (1 << 20, u64::MAX), "sums do not run over");
        assert_eq!(read.descriptors.first().map(|part| (&*part.key, &*part.what)), Some(("a.max", "clients")));
        for wrong in ["", "http-filter 0.1", "limit\tmany\t\t", "what\t1\t\t", "limit\t1"] {
            assert_eq!(Reading::of(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn edges_count_where_they_are_used() {
        let config = |text: &str| Config::parse(text, "test.toml", std::path::Path::new("/")).unwrap().0;
        let out = "[[forward-proxy.listen]]\nname = \"out\"\naddress = [\"127.0.0.1:3128\"]\n";
        let [own, channels] = shared(Process::PassthroughRelay, &config(out));
        // Asked on two sockets; hears forward-proxy and its predecessor; sends to its successor.
        let expected = 2 * (1 + MAX_CHANNELS) + 2 * (1 + MAX_CHANNELS + MAX_DESCRIPTORS) + 3 + CHANNELS_OF_A_LETTER_BOX;
        assert_eq!((own.amount, channels.amount), (OWN, wide(expected)));
        assert_eq!(parcels(4096, 256, 2), 4608);
    }
}
