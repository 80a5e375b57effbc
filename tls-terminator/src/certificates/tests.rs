//! Every complaint names the file and the site, and nothing sound is complained about.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::path::PathBuf;

use common::config::NamePattern;
use rcgen::{CertificateParams, KeyPair, SignatureAlgorithm as Algorithm};

use super::*;

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }
    fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
    /// A self-signed pair for shop.example.
    fn pair(&self, name: &str, algorithm: &'static Algorithm) -> CertificateFiles {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let certificate = CertificateParams::new(vec!["shop.example".into()]).unwrap().self_signed(&key).unwrap();
        CertificateFiles {
            certificate: self.write(&format!("{name}.crt"), certificate.pem()),
            key: self.write(&format!("{name}.key"), key.serialize_pem()),
        }
    }
}

fn load_one(certificates: Vec<CertificateFiles>) -> Loaded {
    let site =
        Site { names: vec![NamePattern::parse("shop.example").unwrap()], certificates, line: 1, ..Site::default() };
    load(&[site], &crate::tls_config::provider())
}

#[track_caller]
fn refused(files: CertificateFiles, file: &str, why: &str) {
    let loaded = load_one(vec![files]);
    assert_eq!(loaded.errors.len(), 1, "{:?}", loaded.errors);
    let text = &loaded.errors[0];
    assert!(text.contains(file) && text.contains(why) && text.contains("[[site]] shop.example"), "{text}");
}

#[test]
fn pairs_of_all_kinds_load_and_the_cheap_one_is_preferred() {
    let folder = Folder::new();
    let pairs = vec![
        folder.pair("rsa", &rcgen::PKCS_RSA_SHA256),
        folder.pair("ed", &rcgen::PKCS_ED25519),
        folder.pair("ec", &rcgen::PKCS_ECDSA_P256_SHA256),
    ];
    let loaded = load_one(pairs);
    assert_eq!((loaded.errors.len(), loaded.warnings.len()), (0, 0), "{loaded:?}");
    let kinds: Vec<_> = loaded.sites[0].iter().map(|pair| pair.key.algorithm()).collect();
    assert_eq!(kinds, [SignatureAlgorithm::ECDSA, SignatureAlgorithm::ED25519, SignatureAlgorithm::RSA]);
}

#[test]
fn two_keys_of_one_kind_are_a_warning() {
    let folder = Folder::new();
    let pair = |name| folder.pair(name, &rcgen::PKCS_ECDSA_P256_SHA256);
    let loaded = load_one(vec![pair("a"), pair("b")]);
    assert_eq!(loaded.errors, Vec::<String>::new());
    assert!(loaded.warnings[0].contains("ECDSA"), "{:?}", loaded.warnings);
}

#[test]
fn a_key_of_another_certificate_is_refused() {
    let folder = Folder::new();
    let (one, two) = (folder.pair("one", &rcgen::PKCS_ECDSA_P256_SHA256), folder.pair("two", &rcgen::PKCS_RSA_SHA256));
    refused(CertificateFiles { certificate: one.certificate, key: two.key }, "two.key", "does not belong");
}

#[test]
fn a_chain_that_does_not_begin_with_the_leaf_is_refused_with_its_place() {
    let folder = Folder::new();
    let (one, two) =
        (folder.pair("one", &rcgen::PKCS_ECDSA_P256_SHA256), folder.pair("two", &rcgen::PKCS_ECDSA_P256_SHA256));
    let both = [std::fs::read(&two.certificate).unwrap(), std::fs::read(&one.certificate).unwrap()].concat();
    let files = CertificateFiles { certificate: folder.write("both.crt", both), key: one.key };
    refused(files, "both.crt", "certificate 2");
}

#[test]
fn files_that_are_something_else_are_named_for_what_they_are() {
    let folder = Folder::new();
    let good = folder.pair("good", &rcgen::PKCS_ECDSA_P256_SHA256);
    let certificate = |path: PathBuf| CertificateFiles { certificate: path, key: good.key.clone() };
    let key = |path: PathBuf| CertificateFiles { certificate: good.certificate.clone(), key: path };
    refused(certificate(folder.write("empty.crt", "\n \n")), "empty.crt", "empty");
    refused(certificate(good.key.clone()), "good.key", "wrong way round");
    refused(certificate(folder.write("der.crt", [0x30, 0x82])), "der.crt", "DER");
    refused(certificate(folder.write("text.crt", "hello")), "text.crt", "BEGIN CERTIFICATE");
    refused(certificate(folder.write("large.crt", vec![b'a'; MAX_FILE + 1])), "large.crt", "larger");
    refused(certificate(folder.0.path().join("none.crt")), "none.crt", "cannot open");
    refused(certificate(folder.write("cut.crt", "-----BEGIN CERTIFICATE-----\nAAAA\n")), "cut.crt", "not valid PEM");
    refused(key(folder.write("empty.key", "")), "empty.key", "empty");
    refused(key(good.certificate.clone()), "good.crt", "wrong way round");
    let locked = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n";
    refused(key(folder.write("locked.key", locked)), "locked.key", "password");
    let old = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nMIIB\n-----END RSA PRIVATE KEY-----\n";
    refused(key(folder.write("old.key", old)), "old.key", "password");
    let broken = "-----BEGIN PRIVATE KEY-----\nSECRETSECRET!!!\n-----END PRIVATE KEY-----\n";
    refused(key(folder.write("broken.key", broken)), "broken.key", "not valid PEM");
    let rubbish = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    refused(key(folder.write("rubbish.key", rubbish)), "rubbish.key", "cannot be used");
    let text = load_one(vec![key(folder.0.path().join("broken.key"))]).errors.concat();
    assert!(!text.contains("SECRET"), "{text}");
}

#[test]
fn all_complaints_come_at_once() {
    let missing = |name: &str| CertificateFiles { certificate: name.into(), key: name.into() };
    assert_eq!(load_one(vec![missing("/nowhere/a"), missing("/nowhere/b")]).errors.len(), 2);
}

#[test]
fn authorities_of_clients_are_read_with_the_site() {
    let folder = Folder::new();
    let load_with = |authorities: Vec<PathBuf>| {
        let certificates = vec![folder.pair("own", &rcgen::PKCS_ECDSA_P256_SHA256)];
        let client_auth = Some(common::config::ClientAuth { required: true, authorities, ..Default::default() });
        let names = vec![NamePattern::parse("shop.example").unwrap()];
        load(&[Site { names, certificates, client_auth, line: 1, ..Site::default() }], &crate::tls_config::provider())
    };
    let two = [folder.pair("a", &rcgen::PKCS_ECDSA_P256_SHA256), folder.pair("b", &rcgen::PKCS_ED25519)];
    let loaded = load_with(two.iter().map(|pair| pair.certificate.clone()).collect());
    assert_eq!(loaded.errors, Vec::<String>::new());
    assert_eq!(loaded.authorities[0].as_ref().unwrap().len(), 2);
    for (file, why) in [
        (two[0].key.clone(), "no certificate in it"),
        (folder.write("none.pem", ""), "no certificate in it"),
        (folder.0.path().join("absent.pem"), "cannot open"),
        (folder.write("odd.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), "is no authority"),
    ] {
        let loaded = load_with(vec![file.clone()]);
        let text = loaded.errors.concat();
        assert!(text.contains(why) && text.contains("[[site]] shop.example"), "{}: {text}", file.display());
    }
}
