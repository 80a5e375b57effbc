//! A judge of recorded bytes: an HTTP/1.1 reader of our own that accepts nothing two servers could understand differently
//! (RFC 9112). It shares no code with Bulkhead, so it cannot share a mistake with it.

/// One request as it stood on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Method.
    pub method: String,
    /// Target as written.
    pub target: String,
    /// Names in lower case, values trimmed, in order; each byte is the character of its number, so nothing is lost.
    pub headers: Vec<(String, String)>,
    /// The body without its framing.
    pub body: Vec<u8>,
    /// Fields behind a chunked body, as `headers`.
    pub trailers: Vec<(String, String)>,
}

impl Request {
    /// All values of a header.
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(own, _)| own == name).map(|(_, value)| value.as_str()).collect()
    }

    /// The only value of a header.
    pub fn get(&self, name: &str) -> Option<&str> {
        match self.all(name)[..] {
            [value] => Some(value),
            _ => None,
        }
    }
}

/// Reads all requests of one connection. An error is a sentence that says what is ambiguous. A last request that is cut off
/// is an error too, unless `may_be_cut`.
pub fn requests(bytes: &[u8], may_be_cut: bool) -> Result<Vec<Request>, String> {
    match requests_and_fault(bytes, may_be_cut) {
        (requests, None) => Ok(requests),
        (_, Some(fault)) => Err(fault),
    }
}

/// The same; what stands before the fault is kept.
pub fn requests_and_fault(mut bytes: &[u8], may_be_cut: bool) -> (Vec<Request>, Option<String>) {
    let mut all = Vec::new();
    while !bytes.is_empty() {
        let why = match request(bytes) {
            Ok((request, rest)) => {
                all.push(request);
                bytes = rest;
                continue;
            }
            Err(Fault::Cut) if may_be_cut => return (all, None),
            Err(Fault::Cut) => "cut off",
            Err(Fault::Wrong(why)) => why,
        };
        return (all, Some(format!("{why}: {:?}", String::from_utf8_lossy(bytes))));
    }
    (all, None)
}

enum Fault {
    Cut,
    Wrong(&'static str),
}

fn request(bytes: &[u8]) -> Result<(Request, &[u8]), Fault> {
    let end = find(bytes, b"\r\n\r\n").ok_or(Fault::Cut)?;
    let (head, rest) = (&bytes[..end], &bytes[end + 4..]);
    if head.iter().any(|byte| *byte == 0 || *byte == 127) {
        return Err(Fault::Wrong("a NUL or DEL in the head"));
    }
    let mut lines = split_lines(head)?.into_iter();
    let line = std::str::from_utf8(lines.next().unwrap_or_default()).map_err(|_| Fault::Wrong("request line"))?;
    let words: Vec<&str> = line.split(' ').collect();
    let [method, target, version] = words[..] else { return Err(Fault::Wrong("request line of not three words")) };
    if !token(method.as_bytes()) || target.is_empty() || target.bytes().any(|byte| !byte.is_ascii_graphic()) {
        return Err(Fault::Wrong("method or target"));
    }
    if version != "HTTP/1.1" {
        return Err(Fault::Wrong("version"));
    }
    let headers = lines.map(field).collect::<Result<Vec<_>, _>>()?;
    let (method, target) = (method.to_owned(), target.to_owned());
    let mut request = Request { method, target, headers, body: Vec::new(), trailers: Vec::new() };
    if request.all("host").len() != 1 {
        return Err(Fault::Wrong("not exactly one Host"));
    }
    let (lengths, encodings) = (request.all("content-length"), request.all("transfer-encoding"));
    let (body, trailers, rest) = match (&lengths[..], &encodings[..]) {
        ([], []) => (Vec::new(), Vec::new(), rest),
        ([length], []) if !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit()) => {
            let length: usize = length.parse().map_err(|_| Fault::Wrong("length"))?;
            if rest.len() < length {
                return Err(Fault::Cut);
            }
            (rest[..length].to_vec(), Vec::new(), &rest[length..])
        }
        ([], ["chunked"]) => chunks(rest)?,
        _ => return Err(Fault::Wrong("framing that two servers could read differently")),
    };
    (request.body, request.trailers) = (body, trailers);
    Ok((request, rest))
}

/// Lines end with CR LF and hold neither alone.
fn split_lines(head: &[u8]) -> Result<Vec<&[u8]>, Fault> {
    let mut lines = Vec::new();
    let mut rest = head;
    while let Some(at) = find(rest, b"\r\n") {
        lines.push(&rest[..at]);
        rest = &rest[at + 2..];
    }
    lines.push(rest);
    if lines.iter().any(|line| line.contains(&b'\r') || line.contains(&b'\n')) {
        return Err(Fault::Wrong("a lone CR or LF"));
    }
    Ok(lines)
}

fn field(line: &[u8]) -> Result<(String, String), Fault> {
    if line.first().is_none_or(|byte| *byte == b' ' || *byte == b'\t') {
        return Err(Fault::Wrong("a folded or empty header line"));
    }
    let colon = find(line, b":").ok_or(Fault::Wrong("a header line without colon"))?;
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    if !token(name) {
        return Err(Fault::Wrong("a header name that is no token"));
    }
    let value: String = value.iter().map(|byte| char::from(*byte)).collect();
    let value = value.trim_matches([' ', '\t']).to_owned();
    if value.chars().any(|character| character.is_ascii_control() && character != '\t') {
        return Err(Fault::Wrong("a control byte in a header value"));
    }
    Ok((String::from_utf8_lossy(name).to_lowercase(), value))
}

/// A body, its trailers, and what follows.
type Chunks<'a> = (Vec<u8>, Vec<(String, String)>, &'a [u8]);

fn chunks(mut rest: &[u8]) -> Result<Chunks<'_>, Fault> {
    let (mut body, mut trailers) = (Vec::new(), Vec::new());
    loop {
        let end = find(rest, b"\r\n").ok_or(Fault::Cut)?;
        let digits = std::str::from_utf8(&rest[..end]).map_err(|_| Fault::Wrong("chunk size"))?;
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(Fault::Wrong("chunk size"));
        }
        let size = usize::from_str_radix(digits, 16).map_err(|_| Fault::Wrong("chunk size"))?;
        rest = &rest[end + 2..];
        if size == 0 {
            break;
        }
        if rest.len() < size + 2 {
            return Err(Fault::Cut);
        }
        body.extend_from_slice(&rest[..size]);
        if &rest[size..size + 2] != b"\r\n" {
            return Err(Fault::Wrong("end of chunk"));
        }
        rest = &rest[size + 2..];
    }
    loop {
        let end = find(rest, b"\r\n").ok_or(Fault::Cut)?;
        let line = &rest[..end];
        rest = &rest[end + 2..];
        if line.is_empty() {
            return Ok((body, trailers, rest));
        }
        trailers.push(field(line)?);
    }
}

fn token(bytes: &[u8]) -> bool {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    !bytes.is_empty() && bytes.iter().all(allowed)
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_two_requests_and_refuses_what_is_ambiguous() {
        let two = b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\nGET /b HTTP/1.1\r\nhost: x\r\n\r\n";
        let read = requests(two, false).unwrap();
        assert_eq!((read.len(), read[0].body.as_slice(), read[1].target.as_str()), (2, b"abc".as_slice(), "/b"));
        assert_eq!(read[1].get("host"), Some("x"));
        for bad in [
            "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
            "GET / HTTP/1.1\nHost: x\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: x\r\nA : b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: +1\r\n\r\na",
            "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\na",
        ] {
            assert!(requests(bad.as_bytes(), false).is_err(), "{bad:?}");
        }
    }
}
