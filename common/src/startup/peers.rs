//! Who may send to this process and who may order it, by the users that the starter has chosen. Pure but for the question which
//! users our own namespace knows.

use crate::ipc::peer::PeerCheck;
use crate::process::Process;
use crate::sandbox::{Identity, UserMap};
use crate::wiring::{EDGES, Edge};

/// As whom everybody appears who has no number in our user namespace.
const OVERFLOW: u32 = 65_534;

/// Who sends on each edge: root's choice for each process; otherwise the starter's own user (`bulkhead up`), or the
/// sender's user where the machine has it (the units). A user without a number in our user namespace (`PrivateUsers=`)
/// appears as the overflow user; then only the edge's group, which is the first lock, tells senders from others.
pub(super) fn expected_peers(process: Process, starter: u32) -> Vec<(&'static str, PeerCheck)> {
    let mapped = UserMap::own();
    let sender = |edge: &Edge| {
        let named = Identity::of(edge.sender).uid;
        match starter {
            0 => PeerCheck::new([named]),
            _ if mapped.contains(named) => PeerCheck::new([starter, named]),
            _ => PeerCheck::new([starter, named, OVERFLOW]),
        }
    };
    let own = EDGES.iter().filter(|edge| edge.receiver == process);
    own.map(|edge| (edge.name, sender(edge))).collect()
}

/// Who may ask and order: whoever started us, and root. Inside our own user namespace root has no number and appears as
/// the overflow user; the mode of the socket, which is the first lock, keeps everybody else out.
pub(super) fn control_peers(starter: u32) -> PeerCheck {
    PeerCheck::new([starter, 0, OVERFLOW])
}
