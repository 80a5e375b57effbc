//! What is told of the certificates that are served: the figures, and what an operator who asks with `bulkhead status` gets to
//! see. Names are those of the configuration. Nothing of a key is in here.

use std::cell::RefCell;
use std::rc::Rc;

use common::certificate_desk::{CertificateDesk, CertificateReport, CertificateState};
use common::observe::exposition::{Kind, Page};
use common::observe::metrics::Families;

use super::expiry::{self, Age, date, span};
use super::store::{Held, Slot, Store};
use crate::metrics::TerminatorFigures;

/// Sites that have a sample of their own at most.
const MOST: usize = 4096;

/// When the certificate of each site ends.
#[derive(Debug, Clone, Default)]
pub struct CertificateDates(Rc<RefCell<Vec<Sample>>>);

#[derive(Debug)]
struct Sample {
    site: Box<str>,
    key: &'static str,
    end: i64,
}

impl Families for CertificateDates {
    fn families(&self, page: &mut Page) {
        let meaning =
            "when the certificate of a site expires, in seconds since 1970; the site's first name, the kind of key";
        page.family("certificate_not_after_seconds", Kind::Gauge, meaning);
        for sample in self.0.borrow().iter() {
            let labels = [("site", &*sample.site), ("key", sample.key)];
            page.sample(&labels, u64::try_from(sample.end).unwrap_or_default());
        }
    }
}

impl CertificateDates {
    fn set(&self, slots: &[Slot]) {
        let samples = slots.iter().flat_map(|slot| {
            let pairs = slot.held.iter().filter_map(|held| held.pair.as_ref());
            pairs.map(|pair| Sample { site: slot.site.clone(), key: pair.key.kind().family(), end: pair.end() })
        });
        *self.0.borrow_mut() = samples.take(MOST).collect();
    }
}

/// Counts what is served; `dates` also writes the end of every site's certificate down anew.
pub fn count(store: &Store, figures: &TerminatorFigures, now: i64, warn_before: i64, dates: bool) {
    let (mut good, mut kept, mut missing, mut ending, mut expired, mut stapled, mut unstapled) = (0, 0, 0, 0, 0, 0, 0);
    let mut soonest = None;
    store.read(|slots| {
        for held in slots.iter().flat_map(|slot| &slot.held) {
            let Some(pair) = &held.pair else {
                missing += 1;
                continue;
            };
            good += 1;
            kept += u64::from(held.is_kept());
            stapled += u64::from(pair.stapled.is_some());
            unstapled += u64::from(pair.stapled.is_none() && held.unstapled.is_some());
            let ages = || pair.lives.iter().map(|life| expiry::age(life, now, warn_before));
            expired += u64::from(ages().any(|age| age == Age::Over));
            ending += u64::from(ages().any(|age| age == Age::Ending));
            soonest = Some(soonest.map_or(pair.end(), |soonest: i64| soonest.min(pair.end())));
        }
        if dates {
            figures.certificates_by_site.set(slots);
        }
    });
    let left = soonest.map_or(0, |end| u64::try_from(end.saturating_sub(now)).unwrap_or_default());
    for (figure, value) in [
        (&figures.certificates, good),
        (&figures.certificates_kept, kept),
        (&figures.certificates_missing, missing),
        (&figures.certificates_ending, ending),
        (&figures.certificates_expired, expired),
        (&figures.stapled, stapled),
        (&figures.unstapled, unstapled),
        (&figures.certificate_seconds_left, left),
        (&figures.keys_ready, u64::try_from(store.ring.len()).unwrap_or(u64::MAX)),
    ] {
        figure.set(value);
    }
}

/// Answers `bulkhead status`.
#[derive(Debug)]
pub struct Desk<F>(pub F);

impl<F: Fn() -> (std::sync::Arc<Store>, i64)> CertificateDesk for Desk<F> {
    fn report(&self) -> CertificateReport {
        let (store, warn_before) = (self.0)();
        report(&store, super::now(), warn_before)
    }
}

/// What an operator should know. Those that need somebody come first to be named.
pub fn report(store: &Store, now: i64, warn_before: i64) -> CertificateReport {
    let mut report = CertificateReport::default();
    let mut notable: Vec<(u8, CertificateState)> = Vec::new();
    let mut soonest: Option<(i64, Box<str>)> = None;
    store.read(|slots| {
        for slot in slots {
            for held in &slot.held {
                report.pairs += 1;
                if let Some(end) = held.pair.as_ref().map(|pair| pair.end())
                    && soonest.as_ref().is_none_or(|(known, _)| end < *known)
                {
                    soonest = Some((end, slot.site.clone()));
                }
                notable.extend(state(slot, held, now, warn_before));
            }
        }
    });
    report.first_end = soonest.map(|(end, site)| (site, date(end).into(), left(end, now)));
    notable.sort_by_key(|(urgency, _)| *urgency);
    report.notable = notable.into_iter().map(|(_, state)| state).collect();
    report.fitting()
}

fn left(end: i64, now: i64) -> Box<str> {
    if end < now { "expired".into() } else { format!("in {}", span(end - now)).into() }
}

fn state(slot: &Slot, held: &Held, now: i64, warn_before: i64) -> Option<(u8, CertificateState)> {
    let told = |urgency: u8, state: &str, why: &str| {
        let file = held.files.certificate.display().to_string().into();
        Some((urgency, CertificateState { site: slot.site.clone(), file, state: state.into(), why: why.into() }))
    };
    let Some(pair) = &held.pair else { return told(0, "missing", held.fault.as_deref().unwrap_or_default()) };
    let dates: Vec<String> = expiry::warnings(&pair.lives, now, warn_before).collect();
    match (&held.fault, &held.unstapled) {
        (Some(fault), _) => told(2, "kept", [fault, &*dates.join("; ")].join("; ").trim_end_matches("; ")),
        (None, _) if pair.end() < now => told(1, "expired", &dates.join("; ")),
        (None, _) if !dates.is_empty() => told(3, "ends soon", &dates.join("; ")),
        (None, Some(why)) => told(4, "unstapled", why),
        (None, None) => None,
    }
}
