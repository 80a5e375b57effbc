//! `--client-cert FILE`: the certificates of a PEM file as text, for tls-terminator to read. The front door links no TLS and no ASN.1,
//! and a private key that stands in the same file must never leave it: nothing but whole `CERTIFICATE` blocks (RFC 7468 §5) is taken.

use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Bytes of a file that are read; what is asked has to fit into one message.
const MAX_FILE: u64 = 64 * 1024;
/// Bytes of certificates that are asked about.
const MAX_TEXT: usize = 24 * 1024;
const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// The certificates of a file, the client's own first.
///
/// # Errors
/// Why there is none.
pub fn from_file(path: &Path) -> Result<Box<str>, String> {
    let fail = |why: &dyn std::fmt::Display| format!("error: --client-cert {}: {why}", path.display());
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| fail(&error))?;
    file.take(MAX_FILE).read_to_end(&mut bytes).map_err(|error| fail(&error))?;
    blocks(&String::from_utf8_lossy(&bytes)).map_err(|why| fail(&why))
}

/// Whole blocks only.
fn blocks(text: &str) -> Result<Box<str>, &'static str> {
    let mut found = String::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once(BEGIN) {
        let Some((inside, after)) = after.split_once(END) else { break };
        if inside.contains("-----") {
            return Err("a certificate in it does not end");
        }
        found.extend([BEGIN, inside, END, "\n"]);
        rest = after;
    }
    match found.len() {
        0 => Err("no certificate in it; a line '-----BEGIN CERTIFICATE-----' was expected"),
        1..=MAX_TEXT => Ok(found.into()),
        _ => Err("its certificates are longer than 24 KiB"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn keys_stay_where_they_are() {
        let key = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n";
        let one = format!("{BEGIN}\nAAAA\n{END}\n");
        assert_eq!(&*blocks(&format!("bag\n{one}{key}x\n{one}")).unwrap(), format!("{one}{one}"));
        assert_eq!(&*blocks(&format!("{key}{one}")).unwrap(), one);
    }

    #[test]
    fn what_is_no_certificate_is_said() {
        assert!(blocks("").unwrap_err().contains("no certificate"));
        assert!(blocks(&format!("{BEGIN}\nAAAA")).unwrap_err().contains("no certificate"));
        let key = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n";
        assert!(blocks(&format!("{BEGIN}\nAAAA\n{key}{END}\n")).unwrap_err().contains("does not end"));
        let long = format!("{BEGIN}\n{}\n{END}\n", "A".repeat(MAX_TEXT));
        assert!(blocks(&long).unwrap_err().contains("24 KiB"));
    }
}
