//! The body of a ClientHello and those of its extensions that matter to a router (RFC 8446 §4.1.2 and §4.2).
//!
//! Pure: bytes in, [`ClientHello`] or [`Malformed`] out. Extensions it does not know are counted for JA4 and
//! otherwise skipped; it must never refuse a hello for something new in it.

use super::cursor::{Cursor, u16_list};
use super::ja4::{Ja4, Offer};
use super::records::Message;
use super::{BadHostName, ClientHello, HostName, Malformed, ProtocolVersion, Protocols, is_grease};

/// Extension numbers, as registered with IANA.
pub(super) mod extension {
    pub(crate) const SERVER_NAME: u16 = 0;
    pub(crate) const SIGNATURE_ALGORITHMS: u16 = 13;
    pub(crate) const ALPN: u16 = 16;
    pub(crate) const SESSION_TICKET: u16 = 35;
    pub(crate) const PRE_SHARED_KEY: u16 = 41;
    pub(crate) const SUPPORTED_VERSIONS: u16 = 43;
    pub(crate) const ENCRYPTED_CLIENT_HELLO: u16 = 0xfe0d;
}

const RANDOM: usize = 32;
const MAX_SESSION_ID: usize = 32;
const HOST_NAME: u8 = 0;

/// Reads the message that [`super::records`] put together.
pub(super) fn parse(message: &Message<'_>) -> Result<ClientHello, Malformed> {
    let mut body = Cursor::new(&message.body, "legacy_version");
    let legacy_version = body.u16()?;
    if legacy_version >> 8 != 3 {
        return Err(Malformed::Version(legacy_version));
    }
    body.expect("random").take(RANDOM)?;
    let session_id = body.expect("session_id").vec8()?;
    if session_id.len() > MAX_SESSION_ID {
        return Err(body.lied());
    }
    let suites = body.expect("cipher_suites").vec16()?;
    let mut suites: Vec<u16> = u16_list(suites, "cipher_suites")?.filter(|suite| !is_grease(*suite)).collect();
    if body.expect("compression_methods").vec8()?.is_empty() {
        return Err(body.lied());
    }
    let mut found = read_extensions(&mut body)?;

    let legacy_version = ProtocolVersion(legacy_version);
    let highest_version = found.highest_version.unwrap_or(legacy_version);
    let ja4 = Ja4::compute(Offer {
        version: highest_version,
        names_server: found.server_name.is_some(),
        cipher_suites: &mut suites,
        extensions: &mut found.types,
        first_protocol: found.alpn.first(),
        signature_algorithms: &found.signature_algorithms,
    });
    Ok(ClientHello {
        server_name: found.server_name,
        alpn: found.alpn,
        legacy_version,
        highest_version,
        session_id_len: session_id.len(),
        ech: found.ech,
        resumes: found.resumes,
        ja4,
        wire_len: message.wire_len,
        records: message.records,
    })
}

/// What the extensions said.
#[derive(Default)]
struct Extensions {
    /// Every type that is not GREASE, in the order sent.
    types: Vec<u16>,
    server_name: Option<HostName>,
    alpn: Protocols,
    highest_version: Option<ProtocolVersion>,
    signature_algorithms: Vec<u16>,
    ech: bool,
    resumes: bool,
}

/// Reads the rest of the hello. TLS 1.2 clients may leave the block of extensions out altogether.
fn read_extensions(body: &mut Cursor<'_>) -> Result<Extensions, Malformed> {
    let mut found = Extensions::default();
    if body.is_empty() {
        return Ok(found);
    }
    let mut rest = Cursor::new(body.expect("extensions").vec16()?, "extensions");
    body.end()?;

    let mut seen = Vec::with_capacity(32);
    while !rest.is_empty() {
        let kind = rest.u16()?;
        let data = rest.vec16()?;
        seen.push(kind);
        found.read_one(kind, data)?;
        if kind == extension::PRE_SHARED_KEY && !rest.is_empty() {
            return Err(Malformed::PreSharedKeyNotLast);
        }
    }
    found.types = seen.iter().copied().filter(|kind| !is_grease(*kind)).collect();
    refuse_duplicates(seen)?;
    Ok(found)
}

impl Extensions {
    fn read_one(&mut self, kind: u16, data: &[u8]) -> Result<(), Malformed> {
        match kind {
            extension::SERVER_NAME if self.server_name.is_none() => self.server_name = Some(server_name(data)?),
            extension::ALPN => self.alpn = protocols(data)?,
            extension::SUPPORTED_VERSIONS => self.highest_version = highest_version(data)?,
            extension::SIGNATURE_ALGORITHMS => self.signature_algorithms = signature_algorithms(data)?,
            extension::PRE_SHARED_KEY => self.resumes = true,
            extension::SESSION_TICKET => self.resumes |= !data.is_empty(),
            extension::ENCRYPTED_CLIENT_HELLO => self.ech = true,
            _ => {}
        }
        Ok(())
    }
}

/// GREASE included: a client must not send the same meaningless value twice either.
fn refuse_duplicates(mut seen: Vec<u16>) -> Result<(), Malformed> {
    seen.sort_unstable();
    match seen.array_windows::<2>().find(|[a, b]| a == b) {
        Some([twice, _]) => Err(Malformed::DuplicateExtension(*twice)),
        None => Ok(()),
    }
}

/// RFC 6066 §3: a list that in practice, and here, holds exactly one `host_name`.
fn server_name(data: &[u8]) -> Result<HostName, Malformed> {
    let mut list = Cursor::new(data, "server_name");
    let mut names = Cursor::new(list.vec16()?, "server_name");
    list.end()?;
    let name = one_name(&mut names)?;
    if !names.is_empty() {
        one_name(&mut names)?;
        return Err(Malformed::TwoServerNames);
    }
    HostName::parse(name).map_err(|bad| match bad {
        BadHostName::Address => Malformed::ServerNameIsAddress,
        bad => Malformed::ServerName(bad),
    })
}

fn one_name<'a>(names: &mut Cursor<'a>) -> Result<&'a [u8], Malformed> {
    match names.u8()? {
        HOST_NAME => names.vec16(),
        other => Err(Malformed::ServerNameType(other)),
    }
}

/// RFC 7301 §3.1.
fn protocols(data: &[u8]) -> Result<Protocols, Malformed> {
    let mut list = Cursor::new(data, "ALPN");
    let names = list.vec16()?;
    list.end()?;
    Protocols::read(names).ok_or_else(|| list.lied())
}

/// RFC 8446 §4.2.1. `None` if every version offered is GREASE.
fn highest_version(data: &[u8]) -> Result<Option<ProtocolVersion>, Malformed> {
    let mut list = Cursor::new(data, "supported_versions");
    let versions = u16_list(list.vec8()?, "supported_versions")?;
    list.end()?;
    Ok(versions.filter(|version| !is_grease(*version)).max().map(ProtocolVersion))
}

/// RFC 8446 §4.2.3.
fn signature_algorithms(data: &[u8]) -> Result<Vec<u16>, Malformed> {
    let mut list = Cursor::new(data, "signature_algorithms");
    let algorithms = u16_list(list.vec16()?, "signature_algorithms")?;
    list.end()?;
    Ok(algorithms.filter(|algorithm| !is_grease(*algorithm)).collect())
}
