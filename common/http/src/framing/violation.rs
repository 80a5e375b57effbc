//! Every way in which a client's HTTP/1 bytes can be refused, with the status it is answered with and words a client's developer can act on.
//!
//! One place on purpose: the framing (`super`), the HTTP/2 gate (`crate::h2_gate`) and the deadlines (`crate::guarded`) all refuse in these words,
//! so a log line, a metric label and an error page can never disagree. It must never carry bytes of the client.

use http::StatusCode;

macro_rules! violations {
    ($($(#[$doc:meta])* $name:ident = $status:literal, $label:literal, $text:literal;)+) => {
        /// Why a request was refused before any handler saw it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Violation { $($(#[$doc])* $name,)+ }

        impl Violation {
            /// All violations, for metric tables and documents.
            pub const ALL: &'static [Violation] = &[$(Violation::$name,)+];

            /// Short lower-case word for logs and metric labels; never changes once published.
            #[must_use]
            pub fn label(self) -> &'static str {
                match self { $(Violation::$name => $label,)+ }
            }

            /// One sentence that says what was wrong with the request.
            #[must_use]
            pub fn text(self) -> &'static str {
                match self { $(Violation::$name => $text,)+ }
            }

            fn code(self) -> u16 {
                match self { $(Violation::$name => $status,)+ }
            }
        }
    };
}

violations! {
    /// RFC 9112 §6.1: both length announcements at once is the classic request-smuggling vector.
    LengthAndEncoding = 400, "length-and-encoding", "Content-Length and Transfer-Encoding must not appear together.";
    /// RFC 9112 §6.1: anything but one single `chunked`.
    BadTransferEncoding = 400, "bad-transfer-encoding", "Transfer-Encoding must be exactly one \"chunked\".";
    /// RFC 9112 §6.1: HTTP/1.0 knows no transfer codings.
    EncodingOnHttp10 = 400, "encoding-on-http-1.0", "HTTP/1.0 requests must not have Transfer-Encoding.";
    /// RFC 9112 §6.3: more than one length, equal or not, in one or several lines.
    SeveralLengths = 400, "several-lengths", "Content-Length must appear once, with one value.";
    /// RFC 9110 §8.6: digits only; no leading zero, because some read the rest as octal.
    BadLength = 400, "bad-length", "Content-Length must be decimal digits only, without leading zeros.";
    /// RFC 9112 §2.2: a line ended by LF alone.
    BareLf = 400, "bare-lf", "Lines must end with CR LF; a lone LF was found.";
    /// RFC 9112 §2.2: a CR that no LF follows.
    BareCr = 400, "bare-cr", "A CR without its LF was found.";
    /// RFC 9112 §5.2: a line that begins with white space.
    ObsFold = 400, "obs-fold", "Folded header lines (starting with white space) are not accepted.";
    /// RFC 9112 §5.1.
    SpaceBeforeColon = 400, "space-before-colon", "White space between header name and colon is not accepted.";
    /// RFC 9110 §5.1: empty, or not made of token characters.
    BadHeaderName = 400, "bad-header-name", "A header name is empty or contains characters other than token characters.";
    /// RFC 9110 §5.5: NUL, other control bytes, DEL.
    ControlByte = 400, "control-byte", "Control bytes are not accepted in the request head or trailers.";
    /// RFC 9112 §3: not exactly `METHOD SP target SP HTTP/1.x`.
    BadRequestLine = 400, "bad-request-line", "The request line must be METHOD, one space, target, one space, HTTP version.";
    /// RFC 9110 §9.1: a method is a token.
    BadMethod = 400, "bad-method", "The method must be made of token characters (at most 32).";
    /// RFC 9110 §15.6.6.
    UnsupportedVersion = 505, "unsupported-version", "Only HTTP/1.0 and HTTP/1.1 are spoken here.";
    /// RFC 9112 §3.2: none of the four forms, or in a form the method does not allow, or with forbidden characters.
    BadTarget = 400, "bad-target", "The request target is not valid for this method.";
    /// RFC 9110 §4.2.4.
    UserInfo = 400, "userinfo", "User information (user@host) is not accepted in a target or Host.";
    /// RFC 9112 §3.2.
    MissingHost = 400, "missing-host", "HTTP/1.1 requests need a Host header.";
    /// RFC 9112 §3.2.
    SeveralHosts = 400, "several-hosts", "Host must appear once.";
    /// RFC 9110 §7.2.
    BadHost = 400, "bad-host", "Host is not a valid host name or address with optional port.";
    /// RFC 9112 §3.2.2: the two places that name the host disagree.
    HostMismatch = 400, "host-mismatch", "Host and the authority of the request target differ.";
    /// RFC 6585 §5.
    HeadTooLarge = 431, "head-too-large", "The request head is larger than accepted.";
    /// RFC 6585 §5.
    TooManyHeaders = 431, "too-many-headers", "The request has more header lines than accepted.";
    /// RFC 9110 §15.5.15.
    TargetTooLong = 414, "target-too-long", "The request line is longer than accepted.";
    /// RFC 9110 §10.1.1.
    BadExpectation = 417, "bad-expectation", "The only expectation met here is 100-continue.";
    /// RFC 9112 §7.1: no digits, more than 16, or anything else in their place.
    BadChunkSize = 400, "bad-chunk-size", "A chunk size must be 1 to 16 hexadecimal digits.";
    /// RFC 9112 §7.1.1.
    ChunkExtensionTooLong = 400, "chunk-extension-too-long", "Chunk extensions are longer than accepted.";
    /// RFC 9112 §7.1: the data of a chunk is followed by something other than CR LF.
    BadChunkEnd = 400, "bad-chunk-end", "Chunk data must be followed by CR LF.";
    /// RFC 9110 §6.5.1.
    ForbiddenTrailer = 400, "forbidden-trailer", "Fields for framing, routing or authentication must not come as trailers.";
    /// Named limit on the trailer section.
    TrailersTooLarge = 431, "trailers-too-large", "The trailer section is larger than accepted.";
    /// RFC 9112 §2.2 asks to skip *one* empty line.
    EmptyLines = 400, "empty-lines", "More than one empty line came before the request line.";
    /// RFC 9112 §9.6: bytes after a request that announced the end of the connection.
    BytesAfterClose = 400, "bytes-after-close", "Bytes followed a request that announced to be the last one.";
    /// RFC 9110 §9.3.6: CONNECT has no content.
    ConnectWithBody = 400, "connect-with-body", "CONNECT must not announce a body.";
    /// RFC 9113 §8.2.2.
    ConnectionFieldInH2 = 400, "connection-field-in-h2", "HTTP/2 requests must not have connection-specific fields.";
    /// RFC 9113 §8.2.1: in HTTP/2 white space around a value is part of it, and would vanish in HTTP/1.
    SpaceAroundValue = 400, "space-around-value", "HTTP/2 field values must not begin or end with white space.";
    /// RFC 9113 §8.1.1: the announced length and the end of the stream disagree.
    LengthInH2 = 400, "length-in-h2", "Content-Length and the end of the HTTP/2 stream disagree.";
    /// RFC 9110 §15.5.9: the head did not arrive whole in time.
    HeadTimeout = 408, "head-timeout", "The request head did not arrive in time.";
    /// RFC 9110 §15.5.9: the body stalled.
    BodyTimeout = 408, "body-timeout", "The request body did not arrive in time.";
}

impl Violation {
    /// Status to answer with; the connection is closed after it in every case.
    #[must_use]
    pub fn status(self) -> StatusCode {
        StatusCode::from_u16(self.code()).unwrap_or(StatusCode::BAD_REQUEST)
    }
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.text())
    }
}

impl std::error::Error for Violation {}
