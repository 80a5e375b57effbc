//! Keys of what a handshake may agree on: further ones of `[tls-terminator]` and `[[site]]`.

use super::*;

const SUITES: &str = "`\"TLS_AES_128_GCM_SHA256\"`, `\"TLS_AES_256_GCM_SHA384\"`, `\"TLS_CHACHA20_POLY1305_SHA256\"`, or \
    `TLS_ECDHE_` + `ECDSA` or `RSA` + `_WITH_` + `AES_128_GCM_SHA256`, `AES_256_GCM_SHA384` or `CHACHA20_POLY1305_SHA256`";
const FIELD: &str = "name of a header field";
const LENIENCE: Kind = Kind::Choice(&["refuse", "accept"]);

pub(super) const KEYS: &[Key] = &[
    key(
        "tls-terminator.suites",
        list(SUITES),
        Preset::Absent("all nine"),
        "Cipher suites that are accepted.",
        "Of those the client's first choice is taken: only the client knows whether it has AES in hardware. A version of which no \
         suite is left is not spoken.",
    ),
    key(
        "tls-terminator.ticket_keys",
        Kind::Text("path, from the directory of this file if relative"),
        Preset::Absent("keys of each process alone, in memory, renewed after half of `ticket_lifetime`"),
        "File with the keys of session tickets, for all instances and over restarts.",
        "One key a line: base64 of 48 to 96 random bytes (`openssl rand -base64 48`); empty lines and lines that begin with `#` do \
         not count. The first encrypts, all decrypt. `bulkhead ticket-keys rotate FILE` makes and rotates it; `bulkhead reload` \
         puts it to work (docs/operations.md).",
    ),
    key(
        "tls-terminator.ticket_lifetime",
        duration(MINUTE, 7 * DAY),
        value("\"12h\""),
        "How long a session can be resumed by its ticket.",
        "A ticket says when it was made; what is older, or made with a key that is gone, leads to a full handshake. 0-RTT is off.",
    ),
    key(
        "tls-terminator.full_handshake_rate",
        integer_or_zero(1, 1_000_000, "not limited"),
        value("1000"),
        "Full handshakes per second for the clients of one network, in the long run.",
        "A full handshake costs a signature; one that is resumed from a ticket does not count. A client above it is refused with \
         the alert `access_denied` before anything is computed.",
    ),
    key(
        "tls-terminator.full_handshake_burst",
        integer(1, 1_000_000),
        value("10000"),
        "How many of them may come at once.",
        "",
    ),
    key(
        "tls-terminator.full_handshake_v4_prefix",
        integer(1, 32),
        value("32"),
        "Bits of an IPv4 address that make a network.",
        "",
    ),
    key(
        "tls-terminator.full_handshake_v6_prefix",
        integer(1, 128),
        value("64"),
        "Bits of an IPv6 address that make a network.",
        "",
    ),
    key(
        "site.min_version",
        Kind::Choice(&["1.2", "1.3"]),
        Preset::Absent("`tls-terminator.min_version`"),
        "Oldest TLS version that is accepted for these names.",
        "",
    ),
    key(
        "site.suites",
        list(SUITES),
        Preset::Absent("`tls-terminator.suites`"),
        "Cipher suites that are accepted for these names.",
        "",
    ),
    key(
        "site.crl",
        list("path, from the directory of this file if relative"),
        Preset::Absent("nothing is revoked"),
        "Certificate revocation lists (PEM or DER) for client certificates.",
        "Every certificate of the chain is looked up in the list of its issuer. A list is worth nothing if nobody renews it: fetch \
         it by a timer and `bulkhead reload`.",
    ),
    key(
        "site.crl_unknown",
        LENIENCE,
        value("\"refuse\""),
        "What becomes of a certificate whose issuer has no list here.",
        "",
    ),
    key(
        "site.crl_expired",
        LENIENCE,
        value("\"refuse\""),
        "What becomes of certificates whose issuer's list is out of date (`nextUpdate`).",
        "`refuse` locks everybody out when the renewal fails; `accept` goes on with what was known.",
    ),
    key(
        "site.allowed_names",
        list("`\"DNS:…\"`, `\"email:…\"`, `\"URI:…\"` or `\"IP:…\"`, with `*` at the start, the end or both"),
        Preset::Absent("any"),
        "Alternative names of which a client certificate must have one.",
        "`DNS:*.staff.example` is any name below staff.example, `email:*@shop.example` any address there, \
         `URI:spiffe://shop.example/web/*` what begins so. Others are refused in the handshake, with the alert `access_denied`.",
    ),
    table(
        "site.identity_headers",
        "Request headers that tell the backend whose certificate was verified.",
        "Nothing is sent that is not named here. A backend can trust them as far as it can be reached only through this proxy.",
    ),
    key(
        "site.identity_headers.certificate",
        Kind::Text(FIELD),
        Preset::Absent("not sent"),
        "The certificate, as RFC 9440 writes it; the usual name is `Client-Cert`.",
        "A certificate of more than 8 KiB is refused then: servers accept no such header. Where any site has one of these keys, \
         requests for *all* hosts lose what clients sent under its name.",
    ),
    key(
        "site.identity_headers.subject",
        Kind::Text(FIELD),
        Preset::Absent("not sent"),
        "`CN=ada,O=Shop` (RFC 4514).",
        "",
    ),
    key("site.identity_headers.issuer", Kind::Text(FIELD), Preset::Absent("not sent"), "As `subject`.", ""),
    key(
        "site.identity_headers.names",
        Kind::Text(FIELD),
        Preset::Absent("not sent"),
        "The alternative names, `DNS:ada.example, URI:spiffe://shop.example/ada`.",
        "",
    ),
    key(
        "site.identity_headers.serial",
        Kind::Text(FIELD),
        Preset::Absent("not sent"),
        "The serial number, hexadecimal.",
        "",
    ),
    key(
        "site.identity_headers.fingerprint",
        Kind::Text(FIELD),
        Preset::Absent("not sent"),
        "SHA-256 of the certificate, hexadecimal.",
        "",
    ),
];
