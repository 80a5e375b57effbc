//! Watches over what is served while nobody reloads anything: staples that run out are taken away, the end of certificates is
//! told in time, and keys that were only looked at from outside at the start are parsed once, a little at a time, so that one
//! whose numbers are damaged is told of before its clients meet it.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::pair::Pair;
use super::store::{Held, Slot, Store};
use super::{about_time, desk, is_fresh};
use crate::receive::World;

/// How often dates are looked at.
const PAUSE: Duration = Duration::from_secs(60);
/// How often the end of certificates is told, in pauses.
const DAILY: u32 = 24 * 60;
/// Between two keys that are parsed: an RSA key takes half a millisecond, connections come first.
const BREATH: Duration = Duration::from_millis(4);

/// Runs until the process ends.
pub async fn tend(world: Rc<World>) {
    let mut told = 0;
    loop {
        verify(&world).await;
        tokio::time::sleep(PAUSE).await;
        let now = world.now();
        let (store, warn_before) = (now.sites.store(), now.warn_before);
        look(store, super::now());
        desk::count(store, &world.figures, super::now(), warn_before, false);
        told += 1;
        if told == DAILY {
            told = 0;
            remind(store, super::now(), warn_before);
        }
    }
}

/// Takes staples away that are out of date: with one a client refuses the connection, without one hardly any does.
fn look(store: &Store, now: i64) {
    let stale =
        places(store, |held| held.pair.as_ref().is_some_and(|pair| pair.stapled.is_some() && !is_fresh(pair, now)));
    for (site, place) in stale {
        store.replace(site, place, |held| {
            let file = held.files.ocsp.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
            tracing::warn!("{file}: the OCSP response is out of date and is not stapled any more: fetch a new one");
            held.unstapled = Some(format!("{file}: the response is out of date: fetch a new one").into());
            held.pair = held.pair.take().map(|pair| pair.with(None));
        });
    }
}

/// Says which certificates end soon.
fn remind(store: &Store, now: i64, warn_before: i64) {
    store.read(|slots| {
        for slot in slots {
            for (held, text) in slot.held.iter().flat_map(|held| about_time(held, now, warn_before)) {
                tracing::warn!("{}: {text} ([[site]] {})", held.files.certificate.display(), slot.site);
            }
            for (held, fault) in slot.held.iter().filter_map(|held| Some((held, held.fault.as_deref()?))) {
                let what = if held.is_kept() { "the last good pair is served" } else { "its clients are refused" };
                tracing::warn!("{fault} ([[site]] {}); {what}", slot.site);
            }
        }
    });
}

/// Parses every key once that nobody has parsed yet.
async fn verify(world: &Rc<World>) {
    let unsure = |slots: &[Slot]| {
        let pairs = slots.iter().flat_map(|slot| &slot.held).filter_map(|held| held.pair.as_ref());
        pairs.filter(|pair| !pair.key.is_known()).cloned().collect::<Vec<Arc<Pair>>>()
    };
    let unsure = world.now().sites.store().read(unsure);
    for pair in unsure {
        tokio::time::sleep(BREATH).await;
        let Err(error) = pair.verify() else { continue };
        let now = world.now(); // a reload may have come between
        let store = now.sites.store();
        let same = |held: &Held| held.pair.as_ref().is_some_and(|held| Arc::ptr_eq(&held.key, &pair.key));
        for (site, place) in places(store, same) {
            store.replace(site, place, |held| {
                let fault = format!("{}: the key cannot be used: {error}", held.files.key.display());
                tracing::error!("{fault}; clients of its site are refused until it is replaced");
                held.fault = Some(fault.into());
                held.pair = None;
            });
        }
        desk::count(store, &world.figures, super::now(), now.warn_before, true);
    }
}

fn places(store: &Store, wanted: impl Fn(&Held) -> bool) -> Vec<(usize, usize)> {
    store.read(|slots| {
        let held = slots
            .iter()
            .enumerate()
            .flat_map(|(site, slot)| slot.held.iter().enumerate().map(move |(place, held)| ((site, place), held)));
        held.filter(|(_, held)| wanted(held)).map(|(place, _)| place).collect()
    })
}
