//! The request head (RFC 9112 §2–§6): request line and header lines, read line by line over any split, each byte looked at once for its class
//! and once for its meaning.
//!
//! The caller hands the *whole* head from its first byte on every time; [`HeadScan`] remembers how far it has read. Only the few fields that decide
//! framing and routing are looked into; values of all others are only checked for control bytes. It must never accept a head that has two readings.

use super::{Body, Head, Limits, Violation, bytes::is_line_byte, is_target_byte, is_tchar, list_has, trim_ows};
use crate::host::{Authority, HostError};

const MAX_METHOD: usize = 32;
/// hyper's URI type ends here.
const MAX_TARGET: usize = 65_534;

/// What has been understood of a head so far.
#[derive(Debug, Clone, Default)]
pub(super) struct HeadScan {
    /// Offset of the first line that has not been understood yet.
    line: usize,
    /// Offset up to which bytes have been classed; always ≥ `line`.
    seen: usize,
    empty_line_skipped: bool,
    request: Option<Request>,
    headers: usize,
    encoding: bool,
    length: Option<u64>,
    /// Where the Host value stands in the head.
    host: Option<(usize, usize)>,
    close: bool,
    keep_alive: bool,
    connection_upgrade: bool,
    upgrade: bool,
    expect: bool,
}

#[derive(Debug, Clone, Copy)]
struct Request {
    http_11: bool,
    connect: bool,
    /// Where the authority of an absolute- or authority-form target stands in the head, and the default port of its scheme.
    authority: Option<(usize, usize, Option<u16>)>,
}

impl HeadScan {
    /// A byte beyond the tolerated empty line has come.
    pub(super) fn has_begun(&self) -> bool {
        self.seen > if self.empty_line_skipped { 2 } else { 0 }
    }

    /// Reads on in `input`, which begins with the first byte of the head. `None`: the head is not complete.
    pub(super) fn scan(&mut self, input: &[u8], limits: &Limits) -> Result<Option<(usize, Head)>, Violation> {
        while let Some(end) = self.line_end(input, limits)? {
            let line = input.get(self.line..end).unwrap_or_default();
            let start = self.line;
            let next = end.saturating_add(2);
            if next > limits.head {
                return Err(Violation::HeadTooLarge);
            }
            (self.line, self.seen) = (next, next);
            if self.request.is_none() {
                if line.is_empty() {
                    if self.empty_line_skipped {
                        return Err(Violation::EmptyLines);
                    }
                    self.empty_line_skipped = true;
                } else {
                    self.request = Some(request_line(line, start, limits)?);
                }
            } else if line.is_empty() {
                return Ok(Some((next, self.finish(input, limits)?)));
            } else {
                self.field(line, start, limits)?;
            }
        }
        Ok(None)
    }

    /// Offset of the CR that ends the present line, if CR LF is there; refuses bytes that no line may hold as soon as they come.
    fn line_end(&mut self, input: &[u8], limits: &Limits) -> Result<Option<usize>, Violation> {
        let rest = input.get(self.seen..).unwrap_or_default();
        let stop = rest.iter().position(|b| !is_line_byte(*b)).unwrap_or(rest.len());
        self.seen = self.seen.saturating_add(stop);
        if self.request.is_none() && self.seen.saturating_sub(self.line) > limits.request_line {
            return Err(Violation::TargetTooLong);
        }
        if self.seen > limits.head {
            return Err(Violation::HeadTooLarge);
        }
        match (rest.get(stop), rest.get(stop.saturating_add(1))) {
            (None, _) | (Some(b'\r'), None) => Ok(None),
            (Some(b'\r'), Some(b'\n')) => Ok(Some(self.seen)),
            (Some(b'\r'), Some(_)) => Err(Violation::BareCr),
            (Some(b'\n'), _) => Err(Violation::BareLf),
            (Some(_), _) => Err(Violation::ControlByte),
        }
    }

    fn field(&mut self, line: &[u8], start: usize, limits: &Limits) -> Result<(), Violation> {
        self.headers += 1;
        if self.headers > limits.headers {
            return Err(Violation::TooManyHeaders);
        }
        let name_len = line.iter().position(|b| !is_tchar(*b)).unwrap_or(line.len());
        let (name, rest) = line.split_at_checked(name_len).unwrap_or_default();
        let value = match rest.split_first() {
            Some((b':', value)) if !name.is_empty() => value,
            Some((b' ' | b'\t', _)) if name.is_empty() => return Err(Violation::ObsFold),
            Some((b' ' | b'\t', after)) if trim_ows(after).first() == Some(&b':') => {
                return Err(Violation::SpaceBeforeColon);
            }
            _ => return Err(Violation::BadHeaderName),
        };
        // By length first: most fields are decided by one comparison of numbers.
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => {
                let trimmed = trim_ows(value);
                let lead = value.len() - value.trim_ascii_start().len();
                let at = start.saturating_add(name_len).saturating_add(1).saturating_add(lead);
                if self.host.replace((at, at.saturating_add(trimmed.len()))).is_some() {
                    return Err(Violation::SeveralHosts);
                }
            }
            6 if name.eq_ignore_ascii_case(b"expect") => {
                if self.expect || !trim_ows(value).eq_ignore_ascii_case(b"100-continue") {
                    return Err(Violation::BadExpectation);
                }
                self.expect = true;
            }
            7 if name.eq_ignore_ascii_case(b"upgrade") => self.upgrade = true,
            10 if name.eq_ignore_ascii_case(b"connection") => {
                self.close |= list_has(value, b"close");
                self.keep_alive |= list_has(value, b"keep-alive");
                self.connection_upgrade |= list_has(value, b"upgrade");
            }
            14 if name.eq_ignore_ascii_case(b"content-length") => self.length(trim_ows(value))?,
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
                if self.encoding || !trim_ows(value).eq_ignore_ascii_case(b"chunked") {
                    return Err(Violation::BadTransferEncoding);
                }
                self.encoding = true;
            }
            _ => {}
        }
        Ok(())
    }

    fn length(&mut self, value: &[u8]) -> Result<(), Violation> {
        if self.length.is_some() || value.contains(&b',') {
            return Err(Violation::SeveralLengths);
        }
        let octal = value.len() > 1 && value.first() == Some(&b'0');
        if value.is_empty() || octal || !value.iter().all(u8::is_ascii_digit) {
            return Err(Violation::BadLength);
        }
        let number = value.iter().try_fold(0u64, |n, b| n.checked_mul(10)?.checked_add(u64::from(b - b'0')));
        // hyper keeps the two highest values for itself; i64::MAX is far beyond any real body.
        self.length = Some(number.filter(|n| i64::try_from(*n).is_ok()).ok_or(Violation::BadLength)?);
        Ok(())
    }

    /// All lines are there: what do they say together?
    fn finish(&self, input: &[u8], limits: &Limits) -> Result<Head, Violation> {
        let request = self.request.ok_or(Violation::BadRequestLine)?;
        if self.encoding && self.length.is_some() {
            return Err(Violation::LengthAndEncoding);
        }
        if self.encoding && !request.http_11 {
            return Err(Violation::EncodingOnHttp10);
        }
        if request.connect && (self.encoding || self.length.is_some_and(|n| n > 0)) {
            return Err(Violation::ConnectWithBody);
        }
        self.check_host(&request, input, limits)?;
        let body = match self.length {
            _ if self.encoding => Body::Chunked,
            None | Some(0) => Body::None,
            Some(n) => Body::Length(n),
        };
        let may_switch = request.connect || (request.http_11 && self.upgrade && self.connection_upgrade);
        let keep_alive = !self.close && (request.http_11 || self.keep_alive);
        Ok(Head { body, keep_alive, may_switch })
    }

    fn check_host(&self, request: &Request, input: &[u8], limits: &Limits) -> Result<(), Violation> {
        let Some((from, to)) = self.host else {
            return if request.http_11 { Err(Violation::MissingHost) } else { Ok(()) };
        };
        let host = authority(input.get(from..to).unwrap_or_default()).map_err(|e| e.unwrap_or(Violation::BadHost))?;
        if let Some((from, to, default_port)) = request.authority
            && (request.connect || !limits.target_wins)
        {
            let target = authority(input.get(from..to).unwrap_or_default()).map_err(|_| Violation::BadTarget)?;
            // CONNECT must name a port in its target, and clients differ in whether Host repeats it.
            let default_port = if request.connect { target.port } else { default_port };
            if !target.same(&host, default_port) {
                return Err(Violation::HostMismatch);
            }
        }
        Ok(())
    }
}

/// `Err(Some(UserInfo))` when that is what is wrong, else the caller's word for a bad authority.
fn authority(bytes: &[u8]) -> Result<Authority<'_>, Option<Violation>> {
    Authority::parse(bytes).map_err(|error| (error == HostError::UserInfo).then_some(Violation::UserInfo))
}

fn request_line(line: &[u8], start: usize, limits: &Limits) -> Result<Request, Violation> {
    if line.len() > limits.request_line {
        return Err(Violation::TargetTooLong);
    }
    let mut parts = line.split(|b| *b == b' ');
    let (Some(method), Some(target), Some(version), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Violation::BadRequestLine);
    };
    if method.is_empty() || method.len() > MAX_METHOD || !method.iter().all(|b| is_tchar(*b)) {
        return Err(Violation::BadMethod);
    }
    let http_11 = match version {
        b"HTTP/1.1" => true,
        b"HTTP/1.0" => false,
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor] if major.is_ascii_digit() && minor.is_ascii_digit() => {
            return Err(Violation::UnsupportedVersion);
        }
        _ => return Err(Violation::BadRequestLine),
    };
    if target.len() > MAX_TARGET {
        return Err(Violation::TargetTooLong);
    }
    let target_at = start.saturating_add(method.len()).saturating_add(1);
    let connect = method == b"CONNECT";
    let authority = target_form(method, target, target_at)?;
    Ok(Request { http_11, connect, authority })
}

/// Checks the form of the target (RFC 9112 §3.2) and finds its authority, if it has one.
fn target_form(method: &[u8], target: &[u8], at: usize) -> Result<Option<(usize, usize, Option<u16>)>, Violation> {
    if !target.iter().all(|b| is_target_byte(*b)) {
        return Err(Violation::BadTarget);
    }
    if method == b"CONNECT" {
        let parsed = authority(target).map_err(|e| e.unwrap_or(Violation::BadTarget))?;
        return match parsed.port {
            Some(_) => Ok(Some((at, at.saturating_add(target.len()), None))),
            None => Err(Violation::BadTarget),
        };
    }
    if target.first() == Some(&b'/') {
        check_path(target)?;
        return Ok(None);
    }
    if target == b"*" {
        return if method == b"OPTIONS" { Ok(None) } else { Err(Violation::BadTarget) };
    }
    let (scheme, port) = if starts_with(target, b"http://") {
        (7, 80)
    } else if starts_with(target, b"https://") {
        (8, 443)
    } else {
        return Err(Violation::BadTarget);
    };
    let rest = target.get(scheme..).unwrap_or_default();
    let end = rest.iter().position(|b| matches!(b, b'/' | b'?')).unwrap_or(rest.len());
    let (name, path) = rest.split_at_checked(end).unwrap_or_default();
    authority(name).map_err(|e| e.unwrap_or(Violation::BadTarget))?;
    check_path(path)?;
    let from = at.saturating_add(scheme);
    Ok(Some((from, from.saturating_add(end), Some(port))))
}

/// The URI type refuses a back-tick in a path and a quote in a query without telling the client why; say it here.
fn check_path(path_and_query: &[u8]) -> Result<(), Violation> {
    let mut in_query = false;
    for b in path_and_query {
        in_query |= *b == b'?';
        if (*b == b'"' && in_query) || (*b == b'`' && !in_query) {
            return Err(Violation::BadTarget);
        }
    }
    Ok(())
}

fn starts_with(target: &[u8], prefix: &[u8]) -> bool {
    target.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}
