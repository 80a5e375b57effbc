//! A process takes another configuration: in two steps, so that either every process of Bulkhead takes it or none.
//!
//! *Prepare*: the text and the contents of the files come in a sealed memory file; they are read, judged as a whole, compared
//! with what cannot change without a restart, and judged by the component itself, which builds everything that it needs and
//! keeps it aside; that may take a while and happen elsewhere, clients are served meanwhile (or only the files of what is at work are new, renewed certificates: then it is the same text, and only the
//! component's part is built anew). *Commit*: what was kept aside takes the place of the old, in one turn of the event loop. Nothing of what
//! can go wrong is left for the second step.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::Notify;

use crate::config::archive::{Archive, MAX_ARCHIVE};
use crate::config::restart::Fixed;
use crate::config::{Config, ConfigErrors, Files, Shared, Text};
use crate::ipc::sealed;
use crate::process::Process;
use crate::sys::memory;

/// Puts what was prepared in the place of the old. Cannot fail.
pub type Commit = Box<dyn FnOnce()>;
type Preparing = Pin<Box<dyn Future<Output = Result<Commit, Vec<String>>>>>;
type Prepare = dyn Fn(Rc<Config>, Rc<Files>) -> Preparing;

/// How long preparing may take, and how long something prepared waits for its commit.
const PATIENCE: Duration = Duration::from_secs(60);
/// Most bytes of complaints that fit into an answer with room to spare, and of one of them.
const MAX_COMPLAINTS: usize = 48 * 1024;
const MAX_COMPLAINT: usize = 8 * 1024;
/// To whom comes before the component serves.
const STARTING: &str = "it is still starting: try again";

/// What a process works with, and what it may work with next.
pub struct Reloader {
    process: Process,
    at_work: RefCell<Rc<AtWork>>,
    component: RefCell<Option<Box<Prepare>>>,
    prepared: RefCell<Option<Prepared>>,
    /// What is being prepared now; nothing that was begun before it counts any more.
    preparing: RefCell<Option<Rc<Begun>>>,
    reloads: Cell<u64>,
}

/// What is kept of a configuration: the component has taken its part.
struct AtWork {
    text: Text,
    digest: String,
    fixed: Fixed,
}

/// A first step under way.
struct Begun {
    generation: u64,
    /// Rings when it is to be given up.
    given_up: Notify,
}

struct Prepared {
    generation: u64,
    /// `None`: the one at work stays, with other files.
    next: Option<AtWork>,
    commit: Commit,
}

impl std::fmt::Debug for Reloader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reloader").field("process", &self.process).finish_non_exhaustive()
    }
}

impl Reloader {
    /// Of a process that began with this text, which means this.
    pub fn new(process: Process, text: Text, config: &Config) -> Rc<Self> {
        Rc::new(Self {
            process,
            at_work: RefCell::new(Rc::new(AtWork::new(text, config))),
            component: RefCell::default(),
            prepared: RefCell::default(),
            preparing: RefCell::default(),
            reloads: Cell::new(0),
        })
    }

    /// From now on `prepare` judges what comes and builds what will replace the present state. What it returns may be dropped at any
    /// time: another reload came, or this one is given up.
    pub fn answer_with<F: Future<Output = Result<Commit, Vec<String>>> + 'static>(
        &self,
        prepare: impl Fn(Rc<Config>, Rc<Files>) -> F + 'static,
    ) {
        let prepare = move |config, files| -> Preparing { Box::pin(prepare(config, files)) };
        *self.component.borrow_mut() = Some(Box::new(prepare));
    }

    /// The configuration at work, read once more from its text: milliseconds, where there are thousands of sites.
    ///
    /// # Errors
    /// A mistake of ours: the same text was good before.
    pub fn config(&self) -> Result<Rc<Config>, ConfigErrors> {
        let at_work = Rc::clone(&self.at_work.borrow());
        at_work.text.parse().map(|(config, _)| Rc::new(config))
    }

    /// What all processes share, of the configuration at work.
    #[must_use]
    pub fn shared(&self) -> Shared {
        self.at_work.borrow().fixed.shared().clone()
    }

    /// The file that it came from, as it was named.
    #[must_use]
    pub fn file_name(&self) -> String {
        self.at_work.borrow().text.file_name.clone()
    }

    /// The digest of its text.
    #[must_use]
    pub fn digest(&self) -> String {
        self.at_work.borrow().digest.clone()
    }

    /// How often it was replaced.
    #[must_use]
    pub fn reloads(&self) -> u64 {
        self.reloads.get()
    }

    /// The first step. What an earlier one prepared, or still prepares, is dropped. Call inside the runtime.
    ///
    /// # Errors
    /// Everything that speaks against the new configuration; the present one stays.
    pub async fn prepare(self: &Rc<Self>, generation: u64, memory: Option<OwnedFd>) -> Result<(), Vec<Box<str>>> {
        self.prepared.borrow_mut().take();
        let begun = Rc::new(Begun { generation, given_up: Notify::new() });
        if let Some(earlier) = self.preparing.borrow_mut().replace(Rc::clone(&begun)) {
            earlier.given_up.notify_one();
        }
        let one = |what: &str| Err(vec![what.to_owned()]);
        let built = tokio::select! {
            biased;
            () = begun.given_up.notified() => return Err(vec!["another reload came between, or this one was given up".into()]),
            built = tokio::time::timeout(PATIENCE, self.build(generation, memory)) => {
                built.unwrap_or_else(|_| one("preparing it takes too long: the old configuration stays"))
            }
        };
        self.preparing.borrow_mut().take();
        let prepared = built.map_err(|complaints| {
            tracing::warn!("what was handed over was refused, the old stays: {}", complaints.join("; "));
            shorten(complaints)
        })?;
        *self.prepared.borrow_mut() = Some(prepared);
        let reloader = Rc::clone(self);
        tokio::task::spawn_local(async move {
            tokio::time::sleep(PATIENCE).await;
            reloader.abort(generation);
        });
        Ok(())
    }

    async fn build(&self, generation: u64, memory: Option<OwnedFd>) -> Result<Prepared, Vec<String>> {
        let (next, config, files) = self.judge(memory)?;
        let building = match &*self.component.borrow() {
            Some(component) => component(config, Rc::new(files)),
            None => return Err(vec![STARTING.to_owned()]),
        };
        Ok(Prepared { generation, next, commit: building.await? })
    }

    /// What was handed over, as far as it can be judged without the component. No [`AtWork`]: only the files are new.
    fn judge(&self, memory: Option<OwnedFd>) -> Result<(Option<AtWork>, Rc<Config>, Files), Vec<String>> {
        let one = |error: &dyn std::fmt::Display| vec![error.to_string()];
        if self.component.borrow().is_none() {
            return Err(one(&STARTING));
        }
        let memory = memory.ok_or_else(|| one(&"nothing was handed over"))?;
        let bytes = sealed::read(memory, MAX_ARCHIVE).map_err(|error| one(&error))?;
        let archive = Archive::decode(&bytes).map_err(|error| one(&error))?;
        drop(bytes);
        let Archive { file_name, base, text, files_only, files } = archive;
        let text = Text { file_name, base, text: text.into() };
        if files_only {
            if text.digest() != self.digest() {
                return Err(one(
                    &"it works with another configuration than these files are for: reload the configuration",
                ));
            }
            let config = self.config().map_err(|errors| one(&errors))?;
            return Ok((None, config, files.of_a_renewal()));
        }
        let (config, _) = text.parse().map_err(|errors| one(&errors))?;
        let next = AtWork::new(text, &config);
        let fixed = self.at_work.borrow().fixed.needs_restart(&next.fixed);
        if !fixed.is_empty() {
            return Err(vec![format!(
                "a reload cannot change {}: restart Bulkhead for that, or take it back and reload the rest",
                fixed.join(", ")
            )]);
        }
        Ok((Some(next), Rc::new(config), files))
    }

    /// The second step.
    ///
    /// # Errors
    /// Nothing of this generation is prepared.
    pub fn commit(&self, generation: u64) -> Result<(), Vec<Box<str>>> {
        let ours = self.prepared.borrow_mut().take_if(|prepared| prepared.generation == generation);
        let Some(prepared) = ours else {
            return Err(vec!["nothing is prepared: another reload came between, or too much time has passed".into()]);
        };
        let Some(next) = prepared.next else {
            (prepared.commit)();
            memory::give_back_heap();
            tracing::info!("files of the configuration taken anew");
            return Ok(());
        };
        *self.at_work.borrow_mut() = Rc::new(next);
        (prepared.commit)();
        memory::give_back_heap();
        self.reloads.set(self.reloads.get() + 1);
        tracing::info!(reloads = self.reloads.get(), "configuration reloaded");
        Ok(())
    }

    /// Drops what was prepared or is being prepared, if it is this.
    pub fn abort(&self, generation: u64) {
        if let Some(begun) = self.preparing.borrow_mut().take_if(|begun| begun.generation == generation) {
            begun.given_up.notify_one();
        }
        self.prepared.borrow_mut().take_if(|prepared| prepared.generation == generation);
    }
}

impl AtWork {
    fn new(text: Text, config: &Config) -> Self {
        Self { digest: text.digest(), fixed: Fixed::of(config), text }
    }
}

/// Complaints that fit into one answer.
fn shorten(complaints: Vec<String>) -> Vec<Box<str>> {
    let (mut kept, mut bytes) = (Vec::new(), 0);
    for mut complaint in complaints {
        if complaint.len() > MAX_COMPLAINT {
            complaint.truncate(complaint.floor_char_boundary(MAX_COMPLAINT));
            complaint.push('…');
        }
        bytes += complaint.len();
        if bytes > MAX_COMPLAINTS {
            kept.push("… and more: `bulkhead check` shows all".into());
            break;
        }
        kept.push(complaint.into());
    }
    kept
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
    use super::*;

    const REST: &str = "[[forward-proxy.listen]]\nname = \"out\"\naddress = \"127.0.0.1:3128\"\n";

    fn archive(text: &str) -> Option<OwnedFd> {
        let text = format!("{text}{REST}");
        let archive = Archive { file_name: "b.toml".into(), base: "/".into(), text, ..Archive::default() };
        Some(sealed::seal("test", &archive.encode().unwrap()).unwrap())
    }

    fn in_runtime(test: impl Future<Output = ()>) {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().build_local(tokio::runtime::LocalOptions::default()).unwrap().block_on(test);
    }

    fn reloader() -> (Rc<Reloader>, Rc<Cell<u32>>) {
        let text = Text { file_name: "b.toml".into(), base: "/".into(), text: REST.into() };
        let config = text.parse().unwrap().0;
        let reloader = Reloader::new(Process::HttpFilter, text, &config);
        let committed = Rc::new(Cell::new(0));
        let count = Rc::clone(&committed);
        reloader.answer_with(move |config, _| {
            let count = Rc::clone(&count);
            std::future::ready(match config.log.access {
                true => Err(vec!["no log here".into()]),
                false => Ok(Box::new(move || count.set(count.get() + 1)) as Commit),
            })
        });
        (reloader, committed)
    }

    #[test]
    fn only_what_was_prepared_is_committed_and_only_once() {
        in_runtime(async {
            let (reloader, committed) = reloader();
            reloader.prepare(1, archive("[log]\naccess = false\n")).await.unwrap();
            assert!(reloader.commit(2).is_err());
            reloader.commit(1).unwrap();
            assert!(reloader.commit(1).is_err());
            assert_eq!((committed.get(), reloader.reloads()), (1, 1));
            assert!(!reloader.config().unwrap().log.access);
            reloader.prepare(3, archive("[log]\naccess = false\n")).await.unwrap();
            reloader.prepare(4, archive("[log]\naccess = false\n")).await.unwrap();
            assert!(reloader.commit(3).is_err(), "a later one has taken its place");
            reloader.abort(4);
            assert!(reloader.commit(4).is_err());
            assert_eq!(committed.get(), 1);
        });
    }

    #[test]
    fn files_alone_come_only_with_the_text_that_is_at_work() {
        in_runtime(async {
            let (reloader, committed) = reloader();
            let only = |text: &str| {
                let text = format!("{text}{REST}");
                let archive = Archive { base: "/".into(), text, files_only: true, ..Archive::default() };
                Some(sealed::seal("test", &archive.encode().unwrap()).unwrap())
            };
            reloader.prepare(1, archive("[log]\naccess = false\n")).await.unwrap();
            reloader.commit(1).unwrap();
            reloader.prepare(2, only("[log]\naccess = false\n")).await.unwrap();
            reloader.commit(2).unwrap();
            assert_eq!((committed.get(), reloader.reloads()), (2, 1));
            let refused = reloader.prepare(3, only("[log]\naccess = true\n")).await.unwrap_err();
            assert!(refused[0].contains("another configuration"), "{refused:?}");
            assert!(reloader.commit(3).is_err() && !reloader.config().unwrap().log.access);
        });
    }

    #[test]
    fn whatever_is_wrong_changes_nothing() {
        in_runtime(async {
            let (reloader, committed) = reloader();
            let unfinished = Reloader::new(Process::HttpFilter, Text::default(), &Config::default());
            assert!(unfinished.prepare(1, archive("")).await.unwrap_err()[0].contains("still starting"));
            for (text, part) in [
                ("[log]\nacess = false\n", "acess"),
                ("[log]\naccess = true\n", "no log here"),
                ("[log]\naccess = false\nlevel = \"debug\"\n", "log.level"),
                ("[log]\naccess = false\n[http-filter]\ninstances = 3\n", "http-filter.instances"),
            ] {
                let complaints = reloader.prepare(1, archive(text)).await.unwrap_err();
                assert!(complaints.join(" ").contains(part), "{text}: {complaints:?}");
                assert!(reloader.commit(1).is_err());
            }
            assert!(reloader.prepare(1, None).await.is_err());
            assert_eq!((committed.get(), reloader.reloads()), (0, 0));
        });
    }

    #[test]
    fn whoever_takes_long_serves_meanwhile_and_is_dropped_when_another_comes() {
        in_runtime(async {
            let text = Text { file_name: "b.toml".into(), base: "/".into(), text: REST.into() };
            let reloader = Reloader::new(Process::HttpFilter, text.clone(), &text.parse().unwrap().0);
            let (go, committed) = (Rc::new(Notify::new()), Rc::new(RefCell::new(Vec::new())));
            let left = Rc::new(()); // who is under way has one
            reloader.answer_with({
                let (go, committed, left) = (Rc::clone(&go), Rc::clone(&committed), Rc::clone(&left));
                move |config, _| {
                    let (go, committed, left) = (Rc::clone(&go), Rc::clone(&committed), Rc::clone(&left));
                    async move {
                        go.notified().await;
                        drop(left);
                        let max = config.http_filter.max_headers;
                        Ok(Box::new(move || committed.borrow_mut().push(max)) as Commit)
                    }
                }
            });
            let begin = |generation: u64, max: u32| {
                let (reloader, text) = (Rc::clone(&reloader), format!("[http-filter]\nmax_headers = {max}\n"));
                tokio::task::spawn_local(async move { reloader.prepare(generation, archive(&text)).await })
            };
            let settle = || async {
                for _ in 0..10 {
                    tokio::task::yield_now().await;
                }
            };
            // The second takes the place of the first, which is given up at once and keeps nothing.
            let (first, second) = (begin(1, 10), begin(2, 20));
            settle().await;
            assert!(first.await.unwrap().unwrap_err()[0].contains("another reload"));
            assert_eq!(Rc::strong_count(&left), 3, "ours, the component's and that of the second");
            assert!(reloader.commit(1).is_err() && reloader.commit(2).is_err(), "nothing is ready");
            assert_eq!(reloader.config().unwrap().http_filter.max_headers, 100, "the old works on");
            go.notify_one();
            second.await.unwrap().unwrap();
            assert!(reloader.commit(1).is_err());
            reloader.commit(2).unwrap();
            assert_eq!(*committed.borrow(), [20]);
            // Given up while it is being prepared; giving up another one changes nothing.
            let third = begin(3, 30);
            settle().await;
            reloader.abort(2);
            settle().await;
            assert!(!third.is_finished());
            reloader.abort(3);
            assert!(third.await.unwrap().is_err());
            assert_eq!(Rc::strong_count(&left), 2);
            assert!(reloader.commit(3).is_err());
            assert_eq!((reloader.reloads(), reloader.config().unwrap().http_filter.max_headers), (1, 20));
        });
    }

    #[test]
    fn complaints_fit_into_an_answer() {
        let many = shorten((0..100).map(|_| "é".repeat(10_000)).collect());
        assert!(many.iter().map(|one| one.len()).sum::<usize>() < crate::ipc::codec::MAX_FRAME - 4096);
        assert!(many.last().unwrap().contains("and more"));
    }
}
