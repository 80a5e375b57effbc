//! Who a client has proved to be: the few words of its verified certificate that access rules speak of. Pure: DER in, words out.
//!
//! RFC 5280 §4.1.2.4 (names), §4.2.1.6 (alternative names), RFC 4514 (distinguished names as text). It must never be given a
//! certificate that was not verified, and it leaves nothing out silently: what does not fit makes no identity at all.

use std::fmt::Write as _;

use aws_lc_rs::digest::{SHA256, digest};
use common::ipc::messages::terminator_to_filter::ClientIdentity;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;
use x509_parser::x509::X509Name;

/// Most attributes of a distinguished name.
const MAX_ATTRIBUTES: usize = 32;
/// Most alternative names.
const MAX_NAMES: usize = 100;
/// Bytes of all words together; the message to http-filter carries them.
const MAX_BYTES: usize = 16 * 1024;
/// Bytes of a certificate that is handed on.
const MAX_CERTIFICATE: usize = 8 * 1024;

/// Short names of attributes (RFC 4514 §3, RFC 4519, RFC 2985); others are written as numbers.
const ATTRIBUTES: [(&str, &str); 14] = [
    ("2.5.4.3", "CN"),
    ("2.5.4.4", "SN"),
    ("2.5.4.5", "SERIALNUMBER"),
    ("2.5.4.6", "C"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.9", "STREET"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.12", "TITLE"),
    ("2.5.4.42", "GN"),
    ("0.9.2342.19200300.100.1.1", "UID"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("1.2.840.113549.1.9.1", "EMAILADDRESS"),
];

/// Reads a verified certificate.
///
/// # Errors
/// Why rules cannot be asked about it.
pub fn identity(der: &[u8]) -> Result<ClientIdentity, &'static str> {
    let Ok((_, certificate)) = X509Certificate::from_der(der) else { return Err("it cannot be read") };
    let (subject, subject_attributes) = name(certificate.subject())?;
    let (issuer, issuer_attributes) = name(certificate.issuer())?;
    let names = match certificate.subject_alternative_name() {
        Ok(Some(extension)) => alternatives(&extension.value.general_names)?,
        Ok(None) => Vec::new(),
        Err(_) => return Err("its alternative names cannot be read"),
    };
    let lists = [&subject_attributes, &issuer_attributes, &names];
    let bytes = lists.into_iter().flatten().map(|word| word.len()).sum::<usize>() + subject.len() + issuer.len();
    if bytes > MAX_BYTES {
        return Err("its names are too long");
    }
    let serial = hexadecimal(certificate.raw_serial());
    let fingerprint = hexadecimal(digest(&SHA256, der).as_ref());
    let certificate = None;
    Ok(ClientIdentity {
        subject,
        subject_attributes,
        issuer,
        issuer_attributes,
        names,
        serial,
        fingerprint,
        certificate,
    })
}

/// The same with the certificate itself, for a site that hands it on.
///
/// # Errors
/// As [`identity`], and one that no server would accept in a header.
pub fn with_certificate(der: &[u8]) -> Result<ClientIdentity, &'static str> {
    if der.len() > MAX_CERTIFICATE {
        return Err("it is larger than 8 KiB, which no header can carry (site.identity_headers.certificate)");
    }
    Ok(ClientIdentity { certificate: Some(der.into()), ..identity(der)? })
}

fn hexadecimal(bytes: &[u8]) -> Box<str> {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into()
}

/// The whole as text, and attribute by attribute.
fn name(name: &X509Name<'_>) -> Result<(Box<str>, Vec<Box<str>>), &'static str> {
    let (mut whole, mut attributes) = (String::new(), Vec::new());
    for attribute in name.iter_attributes() {
        if attributes.len() >= MAX_ATTRIBUTES {
            return Err("its names have too many attributes");
        }
        let number = attribute.attr_type().to_id_string();
        let kind = ATTRIBUTES.iter().find(|(known, _)| *known == number).map_or(&*number, |(_, short)| short);
        let value = attribute.as_str().map_err(|_| "an attribute of its names is not text")?;
        if value.chars().any(char::is_control) {
            return Err("its names have control characters");
        }
        if !whole.is_empty() {
            whole.push(',');
        }
        let _ = write!(whole, "{kind}=");
        escape(value, &mut whole);
        attributes.push(format!("{kind}={value}").into());
    }
    Ok((whole.into(), attributes))
}

/// RFC 4514 §2.4: so that no value can pass for the end of itself and the beginning of another attribute.
fn escape(value: &str, out: &mut String) {
    let last = value.chars().count().saturating_sub(1);
    for (at, c) in value.chars().enumerate() {
        let at_an_end = (at == 0 && matches!(c, ' ' | '#')) || (at == last && c == ' ');
        if at_an_end || matches!(c, ',' | '+' | '"' | '\\' | '<' | '>' | ';') {
            out.push('\\');
        }
        out.push(c);
    }
}

fn alternatives(all: &[GeneralName<'_>]) -> Result<Vec<Box<str>>, &'static str> {
    let mut names: Vec<Box<str>> = Vec::new();
    for name in all {
        let word = match name {
            GeneralName::DNSName(name) => format!("DNS:{}", name.to_ascii_lowercase()),
            GeneralName::RFC822Name(name) => format!("email:{name}"),
            GeneralName::URI(name) => format!("URI:{name}"),
            GeneralName::IPAddress(bytes) => match (<[u8; 4]>::try_from(*bytes), <[u8; 16]>::try_from(*bytes)) {
                (Ok(v4), _) => format!("IP:{}", std::net::Ipv4Addr::from(v4)),
                (_, Ok(v6)) => format!("IP:{}", std::net::Ipv6Addr::from(v6)),
                _ => return Err("an alternative name of it is no address"),
            },
            _ => continue, // kinds that no rule can ask for
        };
        if word.chars().any(char::is_control) {
            return Err("its names have control characters");
        }
        if names.len() >= MAX_NAMES {
            return Err("it has too many alternative names");
        }
        names.push(word.into());
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use rcgen::{CertificateParams, DnType, KeyPair, SanType};

    fn made(change: impl FnOnce(&mut CertificateParams)) -> Result<ClientIdentity, &'static str> {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        identity(params.self_signed(&key).unwrap().der())
    }

    #[test]
    fn names_are_read_with_their_kinds() {
        let identity = made(|params| {
            params.distinguished_name.push(DnType::CommonName, "ada, O=Shop");
            params.distinguished_name.push(DnType::OrganizationalUnitName, "staff");
            params.distinguished_name.push(DnType::CustomDnType(vec![1, 2, 3, 4]), "x");
            params.subject_alt_names = vec![
                SanType::DnsName("Ada.Staff.example".try_into().unwrap()),
                SanType::Rfc822Name("ada@staff.example".try_into().unwrap()),
                SanType::URI("spiffe://shop/ada".try_into().unwrap()),
                SanType::IpAddress("192.0.2.7".parse().unwrap()),
                SanType::IpAddress("2001:db8::7".parse().unwrap()),
            ];
        })
        .unwrap();
        assert!(identity.subject.contains("CN=ada\\, O=Shop") && identity.subject.contains("OU=staff"), "{identity:?}");
        assert!(identity.subject_attributes.iter().any(|own| **own == *"CN=ada, O=Shop"));
        assert!(identity.subject_attributes.iter().any(|own| **own == *"1.2.3.4=x"));
        assert_eq!(identity.issuer, identity.subject);
        let names: Vec<&str> = identity.names.iter().map(|name| &**name).collect();
        let expected = [
            "DNS:ada.staff.example",
            "email:ada@staff.example",
            "URI:spiffe://shop/ada",
            "IP:192.0.2.7",
            "IP:2001:db8::7",
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn damage_ends_in_nothing_but_an_answer() {
        let mut params = CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, "ada");
        let key = KeyPair::generate().unwrap();
        let sound = params.self_signed(&key).unwrap().der().to_vec();
        for at in 0..sound.len() {
            for change in [0x01, 0x80, 0xff] {
                let mut damaged = sound.clone();
                damaged[at] ^= change;
                let _ = identity(&damaged);
            }
            let _ = identity(sound.get(..at).unwrap_or_default());
        }
    }

    #[test]
    fn what_does_not_fit_is_no_identity() {
        assert!(made(|params| params.distinguished_name.push(DnType::CommonName, "a\nb")).is_err());
        assert!(made(|params| params.distinguished_name.push(DnType::CommonName, "a".repeat(20_000))).is_err());
        let many = |params: &mut CertificateParams| {
            let name = |n: usize| SanType::DnsName(format!("{n}.example").try_into().unwrap());
            params.subject_alt_names = (0..=MAX_NAMES).map(name).collect();
        };
        assert!(made(many).is_err());
        assert!(identity(b"no certificate").is_err());
    }
}
