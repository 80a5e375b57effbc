//! A reader of answers that accepts nothing two clients could understand differently (RFC 9112), the counterpart of the harness's
//! strict reader of requests. It shares no code with Bulkhead.

/// One final answer as it stood on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// Names in lower case, values trimmed, in order.
    pub fields: Vec<(String, String)>,
    /// Body without framing.
    pub body: Vec<u8>,
    /// Trailers.
    pub trailers: Vec<(String, String)>,
    /// The end of the connection is the end of the body.
    pub until_close: bool,
}

/// What the first bytes of an answer are.
#[derive(Debug)]
pub enum Read {
    /// One whole answer (or an interim one) of so many bytes.
    Whole(Answer, usize),
    /// More is needed; what there is of a body so far.
    Cut(Option<Answer>),
    /// Not an answer.
    Wrong(String),
}

impl Answer {
    /// The only value of a field.
    pub fn get(&self, name: &str) -> Option<&str> {
        let mut values = self.fields.iter().filter(|(own, _)| own == name).map(|(_, value)| value.as_str());
        values.next().filter(|_| values.next().is_none())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Reads the answer to a request with this method. `ended`: nothing comes behind these bytes.
pub fn read(bytes: &[u8], method: &str, ended: bool) -> Read {
    let Some(end) = find(bytes, b"\r\n\r\n") else { return Read::Cut(None) };
    let (head, rest) = (&bytes[..end], &bytes[end + 4..]);
    let old = head.starts_with(b"HTTP/1.0 ");
    let (status, fields) = match parse_head(head) {
        Ok(parsed) => parsed,
        Err(why) => return Read::Wrong(format!("{why}: {:?}", String::from_utf8_lossy(head))),
    };
    let mut answer = Answer { status, fields, body: Vec::new(), trailers: Vec::new(), until_close: false };
    let used = end + 4;
    let count = |name: &str| answer.fields.iter().filter(|(own, _)| own == name).count();
    let (lengths, encodings) = (count("content-length"), count("transfer-encoding"));
    if lengths > 1 || encodings > 1 || (lengths == 1 && encodings == 1) || (encodings == 1 && old) {
        return Read::Wrong("framing that two clients could read differently".into());
    }
    if status < 200 || status == 204 {
        if lengths + encodings > 0 && status != 101 {
            return Read::Wrong(format!("{status} with framing fields"));
        }
        return Read::Whole(answer, used);
    }
    if method == "HEAD" || status == 304 {
        return Read::Whole(answer, used);
    }
    if encodings == 1 {
        if answer.get("transfer-encoding") != Some("chunked") {
            return Read::Wrong("a transfer coding that is not chunked".into());
        }
        return chunked(rest, answer, used);
    }
    if lengths == 1 {
        let Some(length) = answer.get("content-length").and_then(decimal) else {
            return Read::Wrong("a length that is none".into());
        };
        answer.body = rest[..rest.len().min(length)].to_vec();
        return if rest.len() < length { Read::Cut(Some(answer)) } else { Read::Whole(answer, used + length) };
    }
    answer.body = rest.to_vec();
    answer.until_close = true;
    if ended { Read::Whole(answer, bytes.len()) } else { Read::Cut(Some(answer)) }
}

type Fields = Vec<(String, String)>;

fn parse_head(head: &[u8]) -> Result<(u16, Fields), &'static str> {
    let mut lines = Vec::new();
    let mut rest = head;
    while let Some(at) = find(rest, b"\r\n") {
        lines.push(&rest[..at]);
        rest = &rest[at + 2..];
    }
    lines.push(rest);
    if head.iter().any(|byte| (*byte < 32 && !b"\t\r\n".contains(byte)) || *byte == 127) {
        return Err("a control byte");
    }
    if lines.iter().any(|line| line.contains(&b'\r') || line.contains(&b'\n')) {
        return Err("a lone CR or LF");
    }
    let first = lines[0];
    let code = first.get(9..12).filter(|_| first.starts_with(b"HTTP/1.1 ") || first.starts_with(b"HTTP/1.0 "));
    let code = code.ok_or("no status line of HTTP/1")?;
    let digits = code.iter().all(u8::is_ascii_digit) && first.get(12).is_none_or(|byte| *byte == b' ');
    let status = std::str::from_utf8(code).ok().and_then(|code| code.parse().ok()).filter(|_| digits);
    let status: u16 = status.filter(|status| (100..600).contains(status)).ok_or("no status")?;
    let fields = lines[1..].iter().map(|line| field(line)).collect::<Result<_, _>>()?;
    Ok((status, fields))
}

fn field(line: &[u8]) -> Result<(String, String), &'static str> {
    let colon = find(line, b":").ok_or("a line without colon")?;
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    if colon == 0 || !line[..colon].iter().all(allowed) {
        return Err("a name that is no token");
    }
    let text = |bytes: &[u8]| bytes.iter().map(|byte| char::from(*byte)).collect::<String>();
    Ok((text(&line[..colon]).to_lowercase(), text(&line[colon + 1..]).trim_matches([' ', '\t']).to_owned()))
}

fn chunked(all: &[u8], mut answer: Answer, head: usize) -> Read {
    let mut rest = all;
    loop {
        let Some(end) = find(rest, b"\r\n") else { return Read::Cut(Some(answer)) };
        let size = std::str::from_utf8(&rest[..end]).ok().filter(|size| size.bytes().all(|b| b.is_ascii_hexdigit()));
        let Some(size) = size.and_then(|size| usize::from_str_radix(size, 16).ok()) else {
            return Read::Wrong("chunk size".into());
        };
        rest = &rest[end + 2..];
        if size == 0 {
            break;
        }
        if rest.len() < size + 2 {
            answer.body.extend_from_slice(&rest[..rest.len().min(size)]);
            return Read::Cut(Some(answer));
        }
        answer.body.extend_from_slice(&rest[..size]);
        if &rest[size..size + 2] != b"\r\n" {
            return Read::Wrong("end of chunk".into());
        }
        rest = &rest[size + 2..];
    }
    loop {
        let Some(end) = find(rest, b"\r\n") else { return Read::Cut(Some(answer)) };
        let line = &rest[..end];
        rest = &rest[end + 2..];
        if line.is_empty() {
            return Read::Whole(answer, head + all.len() - rest.len());
        }
        match field(line) {
            Ok(field) => answer.trailers.push(field),
            Err(why) => return Read::Wrong(why.into()),
        }
    }
}

fn decimal(text: &str) -> Option<usize> {
    let octal = text.len() > 1 && text.starts_with('0');
    text.parse().ok().filter(|_| !octal && text.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Where `wanted` begins.
pub fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_what_has_one_reading() {
        for (text, body) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcHTTP", "abc"),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX: y\r\n\r\nHTTP", "abc"),
            ("HTTP/1.1 204 No Content\r\n\r\nHTTP", ""),
            ("HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\nHTTP", ""),
        ] {
            let Read::Whole(answer, used) = read(text.as_bytes(), "GET", false) else { panic!("{text:?}") };
            assert_eq!((answer.text().as_str(), &text[used..]), (body, "HTTP"));
        }
        assert!(
            matches!(read(b"HTTP/1.1 200 OK\r\n\r\nabc", "GET", true), Read::Whole(answer, 22) if answer.until_close)
        );
        assert!(matches!(read(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab", "GET", true), Read::Cut(Some(_))));
        assert!(matches!(read(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", "HEAD", false), Read::Whole(..)));
    }

    #[test]
    fn it_refuses_what_has_two() {
        for head in [
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3",
            "HTTP/1.1 200 OK\r\nContent-Length: 3, 3",
            "HTTP/1.1 200 OK\r\nContent-Length: 03",
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked",
            "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked",
            "HTTP/1.1 204 No Content\r\nContent-Length: 3",
            "HTTP/1.1 200 OK\r\nX: a\n b",
            "HTTP/1.1 200 OK\r\nX : a",
            "HTTP/1.1 200 OK\r\n X: a",
            "HTTP/1.1 200 OK\r\nX: a\0",
            "HTTP/2.0 200 OK",
            "HTTP/1.1 20 OK",
            "garbage",
        ] {
            let text = format!("{head}\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
            assert!(matches!(read(text.as_bytes(), "GET", false), Read::Wrong(_)), "{head:?}");
        }
        let chunk = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n+3\r\nabc\r\n0\r\n\r\n";
        assert!(matches!(read(chunk.as_bytes(), "GET", false), Read::Wrong(_)));
    }
}
