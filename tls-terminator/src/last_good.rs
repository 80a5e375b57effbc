//! What becomes of files that cannot be used and are no certificates: authorities and revocation lists of clients, ticket keys. As with
//! certificates (decision 0020), a broken one is the trouble of its own site: where somebody waits for the answer it is refused;
//! where a good one came from the same files before, that one is used on; where nobody is there, the clients of that site alone are
//! refused. It must never let a client in that nobody could judge.

use std::sync::Arc;

use common::config::{ClientAuth, Site};
use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::server::danger::ClientCertVerifier;
use rustls_pki_types::CertificateRevocationListDer;

use crate::certificates::first_name;
use crate::client_auth::verifier;
use crate::settings::Settings;
use crate::tickets::Keyring;
use crate::tls_config::Sites;

/// What to do about them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// Refuse everything: somebody waits for the answer.
    Refused,
    /// Use on what is used so far: only files are new, and others are to be renewed.
    Kept,
    /// Go on without: nobody is there, and the others are to be served.
    LeftOut,
}

/// Who judges the clients of one site.
#[derive(Clone, Debug)]
pub struct ClientJudge {
    site: Box<str>,
    auth: ClientAuth,
    /// `None`: nobody can, so no client is served.
    pub verifier: Option<Arc<dyn ClientCertVerifier>>,
}

/// What went wrong, and what is done about it.
#[derive(Debug)]
pub struct Trouble<'a> {
    /// What to do.
    pub broken: Broken,
    /// What is served so far.
    pub before: Option<&'a Sites>,
    /// What is not put up with.
    pub errors: Vec<String>,
    /// What is.
    pub warnings: Vec<String>,
}

type Authorities = Option<Result<Arc<RootCertStore>, String>>;
type Lists = Result<Vec<CertificateRevocationListDer<'static>>, String>;

impl Trouble<'_> {
    /// Who judges the clients of this site.
    pub fn judge(
        &mut self,
        site: &Site,
        auth: &ClientAuth,
        authorities: Authorities,
        lists: Lists,
        provider: &Arc<CryptoProvider>,
    ) -> ClientJudge {
        let name = first_name(site);
        let judge = |verifier| ClientJudge { site: name.into(), auth: auth.clone(), verifier };
        let why = match (authorities, lists) {
            (Some(Ok(authorities)), Ok(lists)) => match verifier(auth, &authorities, lists, provider) {
                Ok(verifier) => return judge(Some(verifier)),
                Err(why) => vec![format!("{why} ([[site]] {name})")],
            },
            (None, _) => vec![format!("it asks for client certificates without authorities ([[site]] {name})")],
            (Some(authorities), lists) => authorities.err().into_iter().chain(lists.err()).collect(),
        };
        let same = |own: &&ClientJudge| *own.site == *name && own.auth == *auth;
        let known = match (self.broken, self.before) {
            (Broken::LeftOut, _) => Some(None),
            (Broken::Kept, Some(sites)) => sites.judges().iter().find(same).map(|own| own.verifier.clone()),
            _ => None,
        };
        let Some(verifier) = known else {
            self.errors.extend(why);
            return judge(None);
        };
        let what = if verifier.is_some() { "what was good before is used on" } else { "its clients are refused" };
        self.warnings.extend(why.into_iter().map(|why| format!("{why}; {what} until it is good")));
        judge(verifier)
    }

    /// The keys of session tickets: from the file, or our own. Tickets that were given out stay good as long as possible. (Sites that
    /// ask for client certificates give out none, so no ticket stands for a certificate that somebody would not believe any more.)
    ///
    /// # Errors
    /// There are no random bytes.
    pub fn ticket_keys(
        &mut self,
        settings: &Settings,
        read: Option<Result<Arc<Keyring>, String>>,
    ) -> Result<Arc<Keyring>, String> {
        let tickets = &settings.terminator.tickets;
        match (read, self.before.map(Sites::tickets)) {
            (Some(Ok(read)), _) => Ok(read),
            (None, Some((own, _))) if own.stays(tickets.lifetime) => Ok(Arc::clone(own)),
            (None, _) => Keyring::of_our_own(tickets.lifetime).map(Arc::new),
            (Some(Err(why)), Some((own, file))) if self.broken == Broken::Kept && file == tickets.keys.as_deref() => {
                self.warnings.push(format!("{why}; the keys that were good before are used on"));
                Ok(Arc::clone(own))
            }
            (Some(Err(why)), _) => {
                match self.broken {
                    Broken::LeftOut => self.warnings.push(format!("{why}; tickets are good in this process only")),
                    _ => self.errors.push(why),
                }
                Keyring::of_our_own(tickets.lifetime).map(Arc::new)
            }
        }
    }
}
