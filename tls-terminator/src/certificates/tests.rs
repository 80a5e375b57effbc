//! Every complaint names the file and the site, and nothing sound is complained about.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::path::PathBuf;

use common::config::NamePattern;
use rcgen::{CertificateParams, KeyPair, SignatureAlgorithm as Algorithm};
use rustls::{SignatureAlgorithm, SignatureScheme as S};
use rustls_pki_types::pem::PemObject;
use source::MAX_FILE;

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
            ocsp: None,
        }
    }
}

fn load_one(certificates: Vec<CertificateFiles>) -> Loaded {
    let names = vec![NamePattern::parse("shop.example").unwrap()];
    load_sites(&[Site { names, certificates, line: 1, ..Site::default() }], ALL)
}

/// What is wrong with authorities.
fn faults(loaded: &Loaded) -> Vec<&str> {
    loaded.authorities.iter().flatten().filter_map(|read| read.as_ref().err().map(String::as_str)).collect()
}

fn load_sites(sites: &[Site], parse: u32) -> Loaded {
    let terminator = common::config::Config::default().tls_terminator;
    load(Order { sites, terminator: &terminator, so_far: None, parse }, &crate::tls_config::provider())
}

#[track_caller]
fn refused(files: CertificateFiles, file: &str, why: &str) {
    let loaded = load_one(vec![files]);
    assert_eq!((faults(&loaded).len(), loaded.broken.len()), (0, 1), "{loaded:?}");
    assert!(!loaded.store.serves(0));
    let text = &loaded.broken[0];
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
    assert_eq!((loaded.broken.len(), loaded.warnings.len()), (0, 0), "{loaded:?}");
    let chosen = |offered: &[S]| loaded.store.choose(0, offered).unwrap().key.algorithm();
    let all = [S::RSA_PSS_SHA256, S::ED25519, S::ECDSA_NISTP256_SHA256];
    assert_eq!(chosen(&all), SignatureAlgorithm::ECDSA);
    assert_eq!(chosen(&all[..2]), SignatureAlgorithm::ED25519);
    assert_eq!(chosen(&all[..1]), SignatureAlgorithm::RSA);
    assert_eq!(chosen(&[S::ECDSA_NISTP384_SHA384]), SignatureAlgorithm::ECDSA, "rustls then answers with the alert");
}

#[test]
fn two_keys_of_one_kind_are_a_warning() {
    let folder = Folder::new();
    let pair = |name| folder.pair(name, &rcgen::PKCS_ECDSA_P256_SHA256);
    let loaded = load_one(vec![pair("a"), pair("b")]);
    assert_eq!(loaded.broken, Vec::<String>::new());
    assert!(loaded.warnings[0].contains("ECDSA"), "{:?}", loaded.warnings);
}

#[test]
fn a_key_of_another_certificate_is_refused() {
    let folder = Folder::new();
    let (one, two) = (folder.pair("one", &rcgen::PKCS_ECDSA_P256_SHA256), folder.pair("two", &rcgen::PKCS_RSA_SHA256));
    refused(CertificateFiles { certificate: one.certificate, key: two.key, ocsp: None }, "two.key", "does not belong");
}

#[test]
fn a_chain_that_does_not_begin_with_the_leaf_is_refused_with_its_place() {
    let folder = Folder::new();
    let (one, two) =
        (folder.pair("one", &rcgen::PKCS_ECDSA_P256_SHA256), folder.pair("two", &rcgen::PKCS_ECDSA_P256_SHA256));
    let both = [std::fs::read(&two.certificate).unwrap(), std::fs::read(&one.certificate).unwrap()].concat();
    let files = CertificateFiles { certificate: folder.write("both.crt", both), key: one.key, ocsp: None };
    refused(files, "both.crt", "certificate 2");
}

#[test]
fn files_that_are_something_else_are_named_for_what_they_are() {
    let folder = Folder::new();
    let good = folder.pair("good", &rcgen::PKCS_ECDSA_P256_SHA256);
    let certificate = |path: PathBuf| CertificateFiles { certificate: path, ..good.clone() };
    let key = |path: PathBuf| CertificateFiles { key: path, ..good.clone() };
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
    let text = load_one(vec![key(folder.0.path().join("broken.key"))]).broken.concat();
    assert!(!text.contains("SECRET"), "{text}");
}

#[test]
fn all_complaints_come_at_once() {
    let missing = |name: &str| CertificateFiles { certificate: name.into(), key: name.into(), ocsp: None };
    assert_eq!(load_one(vec![missing("/nowhere/a"), missing("/nowhere/b")]).broken.len(), 2);
}

#[test]
fn authorities_of_clients_are_read_with_the_site() {
    let folder = Folder::new();
    let load_with = |authorities: Vec<PathBuf>| {
        let certificates = vec![folder.pair("own", &rcgen::PKCS_ECDSA_P256_SHA256)];
        let client_auth = Some(common::config::ClientAuth { required: true, authorities, ..Default::default() });
        let names = vec![NamePattern::parse("shop.example").unwrap()];
        load_sites(&[Site { names, certificates, client_auth, line: 1, ..Site::default() }], ALL)
    };
    let two = [folder.pair("a", &rcgen::PKCS_ECDSA_P256_SHA256), folder.pair("b", &rcgen::PKCS_ED25519)];
    let loaded = load_with(two.iter().map(|pair| pair.certificate.clone()).collect());
    assert_eq!((faults(&loaded).len(), loaded.broken.len()), (0, 0), "{loaded:?}");
    assert_eq!(loaded.authorities[0].as_ref().unwrap().as_ref().unwrap().len(), 2);
    for (file, why) in [
        (two[0].key.clone(), "no certificate in it"),
        (folder.write("none.pem", ""), "no certificate in it"),
        (folder.0.path().join("absent.pem"), "cannot open"),
        (folder.write("odd.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), "is no authority"),
    ] {
        let loaded = load_with(vec![file.clone()]);
        let text = faults(&loaded).concat();
        assert!(text.contains(why) && text.contains("[[site]] shop.example"), "{}: {text}", file.display());
    }
}

/// What a reload brings: contents by path.
fn handed_over(pairs: &[&CertificateFiles]) -> Files {
    let paths = pairs.iter().flat_map(|pair| [Some(&pair.certificate), Some(&pair.key), pair.ocsp.as_ref()]).flatten();
    paths.filter_map(|path| Some((path.clone(), std::fs::read(path).ok()?.into()))).collect()
}

fn site_of(certificates: Vec<CertificateFiles>) -> Site {
    let names = vec![NamePattern::parse("shop.example").unwrap()];
    Site { names, certificates, line: 1, ..Site::default() }
}

fn reload(site: &Site, so_far: &Store) -> Loaded {
    let terminator = common::config::Config::default().tls_terminator;
    let sites = std::slice::from_ref(site);
    let files = handed_over(&site.certificates.iter().collect::<Vec<_>>());
    let order = Order { sites, terminator: &terminator, so_far: Some(so_far), parse: FEW };
    load_from(order, &crate::tls_config::provider(), &files)
}

fn served(store: &Store) -> Vec<u8> {
    store.choose(0, &[S::ECDSA_NISTP256_SHA256]).unwrap().cert[0].to_vec()
}

#[test]
fn nothing_is_parsed_at_the_start_unless_it_must_be() {
    let folder = Folder::new();
    let pairs = vec![folder.pair("rsa", &rcgen::PKCS_RSA_SHA256), folder.pair("ec", &rcgen::PKCS_ECDSA_P256_SHA256)];
    let loaded = load_sites(&[site_of(pairs)], NONE);
    assert!(loaded.broken.is_empty() && loaded.store.ring.is_empty(), "{loaded:?}");
    let known = |store: &Store| {
        store.read(|slots| {
            slots[0].held.iter().map(|held| held.pair.as_ref().unwrap().key.is_known()).collect::<Vec<_>>()
        })
    };
    assert_eq!(known(&loaded.store), [false, false]);
    assert!(loaded.store.choose(0, &[S::RSA_PSS_SHA256]).is_some());
    assert_eq!((known(&loaded.store), loaded.store.ring.len()), (vec![true, false], 1));
}

#[test]
fn what_has_not_changed_stays_the_very_same() {
    let folder = Folder::new();
    let site = site_of(vec![folder.pair("ec", &rcgen::PKCS_ECDSA_P256_SHA256)]);
    let first = load_sites(std::slice::from_ref(&site), NONE).store;
    assert!(first.choose(0, &[S::ECDSA_NISTP256_SHA256]).is_some());
    let again = reload(&site, &first);
    let certified = |store: &Store| store.choose(0, &[S::ECDSA_NISTP256_SHA256]).unwrap();
    assert!(Arc::ptr_eq(&certified(&first), &certified(&again.store)) && again.warnings.is_empty());
    assert!(again.store.renewed_since(&first).is_empty());
    folder.pair("ec", &rcgen::PKCS_ECDSA_P256_SHA256);
    let renewed = reload(&site, &again.store).store;
    assert_ne!(served(&renewed), served(&first));
    let told = renewed.renewed_since(&again.store).concat();
    assert!(told.contains("ec.crt") && told.contains("[[site]] shop.example"), "{told}");
}

#[test]
fn the_last_good_pair_is_kept_whatever_becomes_of_its_files() {
    let folder = Folder::new();
    let files = folder.pair("ec", &rcgen::PKCS_ECDSA_P256_SHA256);
    let site = site_of(vec![files.clone()]);
    let mut store = load_sites(std::slice::from_ref(&site), NONE).store;
    let good = served(&store);
    let sound = [std::fs::read(&files.certificate).unwrap(), std::fs::read(&files.key).unwrap()];
    let put_back = || {
        std::fs::write(&files.certificate, &sound[0]).unwrap();
        std::fs::write(&files.key, &sound[1]).unwrap();
    };
    let expired = {
        let mut params = CertificateParams::new(vec!["shop.example".into()]).unwrap();
        params.not_after = rcgen::date_time_ymd(2021, 1, 1);
        let key = KeyPair::generate().unwrap();
        (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
    };
    let half = &sound[0][..sound[0].len() / 2];
    let cases: [(&str, &dyn Fn()); 6] = [
        ("empty", &|| std::fs::write(&files.certificate, "").unwrap()),
        ("not valid PEM", &|| std::fs::write(&files.certificate, half).unwrap()),
        ("does not belong", &|| {
            let _ = std::fs::copy(folder.pair("two", &rcgen::PKCS_RSA_SHA256).key, &files.key).unwrap();
        }),
        ("was not read", &|| std::fs::remove_file(&files.certificate).unwrap()),
        ("password", &|| std::fs::write(&files.key, "-----BEGIN ENCRYPTED PRIVATE KEY-----\n").unwrap()),
        ("expired at", &|| {
            std::fs::write(&files.certificate, &expired.0).unwrap();
            std::fs::write(&files.key, &expired.1).unwrap();
        }),
    ];
    for (why, damage) in cases {
        damage();
        let loaded = reload(&site, &store);
        assert!(loaded.broken.is_empty() && faults(&loaded).is_empty(), "{why}: {loaded:?}");
        assert!(loaded.warnings[0].contains(why) && loaded.warnings[0].contains("last good"), "{:?}", loaded.warnings);
        assert_eq!(served(&loaded.store), good);
        assert!(loaded.store.read(|slots| slots[0].held[0].is_kept()));
        let report = desk::report(&loaded.store, now(), 0);
        assert!(&*report.notable[0].state == "kept" && report.notable[0].why.contains(why), "{report:?}");
        put_back();
        store = reload(&site, &loaded.store).store;
        assert!(!store.read(|slots| slots[0].held[0].is_kept()) && served(&store) == good);
    }
}

#[test]
fn a_new_pair_that_is_broken_is_refused_and_one_that_was_never_good_holds_nothing_up() {
    let folder = Folder::new();
    let good = folder.pair("ec", &rcgen::PKCS_ECDSA_P256_SHA256);
    let store = load_sites(&[site_of(vec![good.clone()])], NONE).store;
    // Other files in the configuration: no last good one.
    let elsewhere = CertificateFiles { certificate: folder.write("new.crt", ""), ..good.clone() };
    let loaded = reload(&site_of(vec![elsewhere.clone()]), &store);
    assert!(loaded.broken[0].contains("new.crt"), "{loaded:?}");
    // Such a pair from the start on: others are served and reloaded.
    let site = site_of(vec![elsewhere, folder.pair("rsa", &rcgen::PKCS_RSA_SHA256)]);
    let start = load_sites(std::slice::from_ref(&site), NONE);
    assert!(start.broken.len() == 1 && start.store.serves(0), "{start:?}");
    let again = reload(&site, &start.store);
    assert!(again.broken.is_empty() && again.warnings[0].contains("new.crt"), "{again:?}");
    assert_eq!(&*desk::report(&again.store, now(), 0).notable[0].state, "missing");
    std::fs::copy(&good.certificate, folder.0.path().join("new.crt")).unwrap();
    let healed = reload(&site, &again.store);
    assert!(healed.warnings.is_empty() && desk::report(&healed.store, now(), 0).notable.is_empty(), "{healed:?}");
}

#[test]
fn a_key_whose_numbers_are_damaged_is_found_when_it_is_parsed() {
    let folder = Folder::new();
    let files = folder.pair("rsa", &rcgen::PKCS_RSA_SHA256);
    let site = site_of(vec![files.clone()]);
    let store = load_sites(std::slice::from_ref(&site), NONE).store;
    let der = rustls_pki_types::PrivateKeyDer::from_pem_slice(&std::fs::read(&files.key).unwrap()).unwrap();
    let mut bytes = der.secret_der().to_vec();
    let last = bytes.len() - 10; // in the last number, behind the public half
    bytes[last] ^= 0xff;
    use base64::Engine;
    let text = base64::engine::general_purpose::STANDARD.encode(&bytes);
    std::fs::write(&files.key, format!("-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----\n")).unwrap();
    let kept = reload(&site, &store);
    assert!(kept.warnings[0].contains("cannot be used"), "{kept:?}");
    let quick = load_sites(std::slice::from_ref(&site), NONE);
    assert!(quick.broken.is_empty());
    let pair = quick.store.read(|slots| slots[0].held[0].pair.clone()).unwrap();
    assert!(pair.verify().is_err() && pair.key.is_broken());
    assert_eq!(load_sites(&[site], ALL).broken.len(), 1);
}

#[test]
fn a_thousand_sites_are_found_by_exact_name_and_then_by_wildcard() {
    let folder = Folder::new();
    let key = KeyPair::generate().unwrap();
    let rsa = KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    let (key_file, rsa_file) = (folder.write("k", key.serialize_pem()), folder.write("r", rsa.serialize_pem()));
    let sites: Vec<Site> = (0..1000)
        .map(|number| {
            let names = [format!("s{number}.example"), format!("*.s{number}.example")];
            let pair = |key: &KeyPair, file: &PathBuf, kind: &str| CertificateFiles {
                certificate: folder.write(
                    &format!("{number}.{kind}"),
                    CertificateParams::new(names.to_vec()).unwrap().self_signed(key).unwrap().pem(),
                ),
                key: file.clone(),
                ocsp: None,
            };
            let certificates = vec![pair(&rsa, &rsa_file, "rsa"), pair(&key, &key_file, "ec")];
            let names = names.iter().map(|name| NamePattern::parse(name).unwrap()).collect();
            Site { names, certificates, line: 1, ..Site::default() }
        })
        .collect();
    let loaded = load_sites(&sites, NONE);
    assert!(loaded.broken.is_empty() && loaded.warnings.is_empty(), "{:?}", loaded.broken);
    let names = crate::choose_certificate::Names::new(&sites, crate::settings::Strangers::default()).unwrap();
    for number in (0..1000).step_by(7) {
        for name in [format!("s{number}.example"), format!("www.s{number}.example")] {
            let site = names.choose(Some(&name)).unwrap();
            for (offered, algorithm) in
                [(S::ECDSA_NISTP256_SHA256, SignatureAlgorithm::ECDSA), (S::RSA_PSS_SHA256, SignatureAlgorithm::RSA)]
            {
                let pair = loaded.store.choose(site, &[offered]).unwrap();
                let (_, leaf) = x509_parser::parse_x509_certificate(&pair.cert[0]).unwrap();
                let text = format!("{:?}", leaf.subject_alternative_name().unwrap().unwrap().value);
                assert!(text.contains(&format!("\"s{number}.example\"")), "{name}: {text}");
                assert_eq!(pair.key.algorithm(), algorithm);
            }
        }
    }
}
