//! temp
use serde::{Deserialize, Serialize};
/// The five processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum Process { SniRouter, PassthroughRelay, TlsTerminator, HttpFilter, ForwardProxy }
impl Process {
    /// x
    pub const fn name(self) -> &'static str {
        match self { Self::SniRouter => "sni-router", Self::PassthroughRelay => "passthrough-relay", Self::TlsTerminator => "tls-terminator", Self::HttpFilter => "http-filter", Self::ForwardProxy => "forward-proxy" }
    }
}
