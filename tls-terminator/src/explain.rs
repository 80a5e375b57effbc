//! `bulkhead explain` at the handshake: which site, which certificate files, what ALPN comes to. Asks the table that handshakes
//! ask; nothing is counted, and nothing of a key is told.

use common::config::{ClientAuth, Config, SiteAlpn, TlsVersion};
use common::ipc::messages::explain::{Explain, Explained, Step, Then};
use common::ipc::messages::terminator_to_filter::ClientIdentity;
use rustls::SupportedProtocolVersion;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use crate::client_auth::may_come_in;
use crate::client_identity::identity;
use crate::policy::Policy;
use crate::receive::Generation;

/// What would become of this handshake.
#[must_use]
pub fn explain(now: &Generation, config: &Config, question: &Explain) -> Explained {
    let shown = question.server_name.as_deref().unwrap_or("no name");
    let site = now.sites.site_for(question.server_name.as_deref()).and_then(|site| config.sites.get(site));
    let Some(site) = site else {
        let step = Step::new("site", format!("{shown}: no site has this name: alert unrecognized_name"));
        return Explained::ends(vec![step.refuses(true)]);
    };
    let names: Vec<&str> = site.names.iter().map(common::config::NamePattern::as_str).collect();
    let mut step = Step::new("site", names.join(", ")).by("[[site]]", Some(site.line));
    for files in &site.certificates {
        step = step.fact("certificate", files.certificate.display().to_string());
    }
    let mut steps = vec![step];
    let identity = match (&site.client_auth, &question.certificate) {
        (None, None) => None,
        (None, Some(_)) => {
            steps
                .push(Step::new("certificate", "not asked for: the site has no client_auth, so the client shows none"));
            None
        }
        (Some(auth), shown) => {
            let (step, identity) = certificate(auth, shown.as_deref());
            let refused = step.refused;
            steps.push(step);
            if refused {
                return Explained::ends(steps);
            }
            identity
        }
    };
    let version = match &*question.tls_version {
        "TLSv1.2" => TlsVersion::Tls12,
        _ => TlsVersion::Tls13,
    };
    let spoken = Policy::of(site, &config.tls_terminator).versions();
    if version >= site.min_version(&config.tls_terminator) && !spoken.contains(&protocol(version)) {
        let text = format!(
            "no suite of {} is left in suites: alert protocol_version or handshake_failure",
            question.tls_version
        );
        let key = if site.suites.is_some() { "site.suites" } else { "tls-terminator.suites" };
        steps.push(Step::new("version", text).by(key, None).refuses(true));
        return Explained::ends(steps);
    }
    if version < site.min_version(&config.tls_terminator) {
        let text = format!("{} is older than min_version: alert protocol_version", question.tls_version);
        steps.push(
            Step::new("version", text)
                .by(if site.min_version.is_some() { "site.min_version" } else { "tls-terminator.min_version" }, None)
                .refuses(true),
        );
        return Explained::ends(steps);
    }
    let offered = |own: &&SiteAlpn| question.alpn.iter().any(|protocol| **protocol == *own.as_str());
    let agreed = site.alpn.iter().find(offered).map(|own| own.as_str());
    // RFC 7301 section 3.2: nothing in common is fatal, nothing offered is not.
    if agreed.is_none() && !question.alpn.is_empty() {
        let ours: Vec<&str> = site.alpn.iter().map(|own| own.as_str()).collect();
        let text = format!("nothing in common with {}: alert no_application_protocol", ours.join(", "));
        steps.push(Step::new("protocol", text).refuses(true));
        return Explained::ends(steps);
    }
    steps.push(Step::new(
        "protocol",
        format!("{}, {}", question.tls_version, agreed.unwrap_or("http/1.1 without ALPN")),
    ));
    Explained { identity, ..Explained::goes_on(steps, Then::Filter(agreed.map(Into::into))) }
}

fn protocol(version: TlsVersion) -> &'static SupportedProtocolVersion {
    match version {
        TlsVersion::Tls12 => &rustls::version::TLS12,
        TlsVersion::Tls13 => &rustls::version::TLS13,
    }
}

/// What a site that asks for certificates makes of the one that is shown. Whether an authority signed it is for a handshake to find out.
fn certificate(auth: &ClientAuth, shown: Option<&str>) -> (Step, Option<Box<ClientIdentity>>) {
    let said = |text: &str| {
        let step = Step::new("certificate", text).by("site.client_auth", None);
        let step = auth.authorities.iter().fold(step, |step, file| step.fact("signed by", file.display().to_string()));
        auth.revocation.lists.iter().fold(step, |step, file| step.fact("not in", file.display().to_string()))
    };
    let Some(pem) = shown else {
        let step = said(match auth.required {
            true => {
                "required; what follows is for a client that shows one in which no name stands (show it with --client-cert)"
            }
            false => "asked for; what follows is for a client that shows none",
        });
        return (step, None);
    };
    let first = CertificateDer::pem_slice_iter(pem.as_bytes()).next();
    let Some(Ok(der)) = first else { return (said("what is shown is not valid PEM").refuses(true), None) };
    match identity(&der) {
        Ok(identity) if !may_come_in(&auth.allowed_names, &identity.names) => {
            let text = format!("{}: none of its names may come in: alert access_denied", identity.subject);
            (Step::new("certificate", text).by("site.allowed_names", None).refuses(true), None)
        }
        Ok(identity) => {
            let mut step = said("shown; what follows holds if one of the authorities signed it and it is valid now")
                .fact("subject", &*identity.subject)
                .fact("issuer", &*identity.issuer);
            for name in &identity.names {
                step = step.fact("name", &**name);
            }
            (step, Some(Box::new(identity)))
        }
        Err(why) => (said(&format!("refused: {why}")).refuses(true), None),
    }
}
