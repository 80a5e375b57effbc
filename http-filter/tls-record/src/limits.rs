//! What a peer may do before it is sent away, and how long a key lives.

/// Limits of one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Records that we seal with one key before we take the next, at least 2. The suite's own limit
    /// ([`crate::Suite::records_per_key`]) holds beside it; the default leaves it at that. In TLS 1.2 there is no next key: the last of
    /// these records is our close_notify.
    pub records_per_key: u64,
    /// KeyUpdates of the peer without data between them. Each costs a key derivation and five bytes to send.
    pub key_updates: u32,
    /// Records without content, one after the other (legal against traffic analysis, §5.4, but they cost what others cost and bring
    /// nothing forward).
    pub empty_records: u32,
    /// Warnings (user_canceled; any in TLS 1.2), over the life of the connection.
    pub warnings: u32,
    /// Attempts of a TLS 1.2 client to shake hands again that are answered with a warning, over the life of the connection. The next one
    /// ends it.
    pub renegotiations: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { records_per_key: u64::MAX, key_updates: 32, empty_records: 32, warnings: 4, renegotiations: 1 }
    }
}
