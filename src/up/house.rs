//! Who lives here: the instances with their sockets. Starts all, one more, or lets one go; [`super::orders`] hears the wishes.

use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use common::config::Config;
use common::ipc::directory::MAX_INSTANCES;
use common::process::Process;
use common::wiring::launcher_socket;
use tokio::time::timeout;

use super::changed::Changed;
use super::children::{Keeper, Recipe, Shared};
use super::metrics_page::{MetricsPage, Running};
use super::runtime_dir::RuntimeDir;
use super::sockets::{Sockets, open_channel};
use crate::plan::Plan;
use crate::say::span;

/// How long one more instance may take until it serves. A thousand certificates take seconds.
const TRIAL: Duration = Duration::from_secs(30);
/// How much longer than `drain_deadline` one that is let go may take to finish: it bounds that itself.
const BEYOND_DRAIN: Duration = Duration::from_secs(15);
/// SIGKILL cannot be refused, but a process can hang inside the kernel.
const AFTER_KILL: Duration = Duration::from_secs(2);

/// All of them, and what they need.
#[derive(Debug)]
pub struct House {
    file: PathBuf,
    sockets: RefCell<Sockets>,
    keepers: RefCell<Vec<Rc<Keeper>>>,
    page: RefCell<Option<(Rc<MetricsPage>, Running)>>,
    shared: Rc<Shared>,
    closing: Cell<bool>,
    /// By the configuration of the start.
    drain_deadline: Duration,
    /// Last: it takes the names of the sockets with it.
    home: RefCell<RuntimeDir>,
}

impl House {
    /// Makes what a plan needs. Nothing is started yet.
    ///
    /// # Errors
    /// Which socket cannot be had.
    pub fn new(plan: &Plan, file: &Path, config: &Config, mut home: RuntimeDir) -> Result<Rc<Self>, String> {
        let sockets = Sockets::open(plan, &mut home)?;
        Ok(Rc::new(Self {
            file: file.to_owned(),
            sockets: RefCell::new(sockets),
            keepers: RefCell::default(),
            page: RefCell::default(),
            shared: Rc::new(Shared::new(home.path())),
            closing: Cell::new(false),
            drain_deadline: config.bulkhead.drain_deadline,
            home: RefCell::new(home),
        }))
    }

    /// Lets clients in, and those that wait for each other serve. Says where clients get in.
    ///
    /// # Errors
    /// Which listener cannot listen.
    pub fn let_clients_in(&self) -> Result<String, String> {
        self.sockets.borrow().listen()?;
        self.shared.give_the_word();
        Ok(self.sockets.borrow().listening().join(", "))
    }

    /// Whether clients were let in.
    pub fn was_given_the_word(&self) -> bool {
        self.shared.was_given_the_word()
    }

    /// What is needed to start an instance whose sockets are open.
    ///
    /// # Errors
    /// Its program is not there.
    pub fn recipe(&self, process: Process, instance: u32) -> Result<Recipe, String> {
        let sockets = self.sockets.borrow().of(process, instance);
        Recipe::new((process, instance), &self.file, self.home.borrow().path(), sockets)
    }

    /// Starts an instance and cares for it. Call inside the runtime.
    pub fn keep(&self, recipe: Recipe) -> Rc<Keeper> {
        let keeper = Keeper::start(recipe, &self.shared);
        self.keepers.borrow_mut().push(Rc::clone(&keeper));
        keeper
    }

    /// Where the sockets are.
    pub fn runtime_dir(&self) -> PathBuf {
        self.home.borrow().path().to_owned()
    }

    /// Everybody who is cared for now.
    pub fn keepers(&self) -> Vec<Rc<Keeper>> {
        self.keepers.borrow().clone()
    }

    /// Rings when somebody has changed.
    pub fn changed(&self) -> &Changed {
        &self.shared.changed
    }

    /// Starts the page of figures, in the place of the one that runs. Call inside the runtime.
    pub fn start_page(&self, page: Rc<MetricsPage>) {
        self.page.borrow_mut().take(); // ends it
        let running = page.start();
        *self.page.borrow_mut() = Some((page, running));
    }

    /// The same with the program that is on the disk now, if there is a page.
    pub fn start_page_again(&self) {
        let page = self.page.borrow().as_ref().map(|(page, _)| Rc::clone(page));
        page.into_iter().for_each(|page| self.start_page(page));
    }

    /// Opens the socket on which orders are heard.
    ///
    /// # Errors
    /// Why it cannot be made.
    pub fn open_door(&self) -> Result<std::os::fd::OwnedFd, String> {
        let mut home = self.home.borrow_mut();
        let path = launcher_socket(home.path());
        open_channel(&path, &mut home, None)
    }

    /// From here on nobody is started any more, and our copies of all sockets are closed.
    pub fn close(&self) {
        self.closing.set(true);
        self.sockets.borrow_mut().let_go();
        self.keepers().iter().for_each(|keeper| keeper.let_go());
        self.page.borrow_mut().take();
        self.shared.changed.tell();
    }

    /// Starts one more and waits until it serves. If it does not, nothing of it is left.
    ///
    /// # Errors
    /// Why it was not started, or did not serve.
    pub async fn begin(&self, process: Process, instance: u32) -> Result<(), String> {
        self.may_begin(process, instance)?;
        self.sockets.borrow_mut().open_instance(process, instance, &mut self.home.borrow_mut())?;
        let recipe = self.recipe(process, instance).inspect_err(|_| self.forget(process, instance))?;
        let keeper = self.keep(recipe);
        let judged = self.shared.changed.until(|| self.judge(&keeper));
        let outcome = timeout(TRIAL, judged).await;
        let outcome =
            outcome.unwrap_or_else(|_| Err(format!("{} does not answer within {}", keeper.name(), span(TRIAL))));
        let Err(why) = outcome else {
            tracing::info!("{} serves beside the others", keeper.name());
            return Ok(());
        };
        if self.closing.get() {
            return Err(why); // it goes with all the others
        }
        let words = if keeper.gone() { keeper.last_words().await } else { String::new() };
        self.sockets.borrow_mut().close_edges(process, instance, &mut self.home.borrow_mut());
        self.send_away(&keeper, AFTER_KILL).await;
        self.forget(process, instance);
        tracing::error!("{why}; it is not tried again. {words}");
        Err(if words.is_empty() { why } else { format!("{why}:\n{words}") })
    }

    fn may_begin(&self, process: Process, instance: u32) -> Result<(), String> {
        let keepers = self.keepers.borrow();
        let mut same = keepers.iter().filter(|keeper| keeper.process() == process).peekable();
        if self.closing.get() {
            return Err(CLOSING.to_owned());
        }
        if same.peek().is_none() {
            return Err(format!("{process} is not part of this configuration: nothing is handed to it"));
        }
        if instance == 0 || usize::try_from(instance).is_ok_and(|number| number > MAX_INSTANCES) {
            return Err(format!("{process}@{instance}: instances have the numbers 1 to {MAX_INSTANCES}"));
        }
        if same.any(|keeper| keeper.instance() == instance) {
            return Err(format!("{process}@{instance} is there already"));
        }
        Ok(())
    }

    /// `None`: not known yet.
    fn judge(&self, keeper: &Keeper) -> Option<Result<(), String>> {
        let given_up = keeper.given_up();
        match given_up {
            _ if self.closing.get() => Some(Err(CLOSING.to_owned())),
            Some(why) => Some(Err(why)),
            None => keeper.served().then_some(Ok(())),
        }
    }

    /// Lets one finish, and waits for its end. Others of its kind go on.
    ///
    /// # Errors
    /// It may not go, or had to be killed.
    pub async fn end(&self, process: Process, instance: u32) -> Result<(), String> {
        let keeper = self.may_end(process, instance)?;
        // First its edges, so that nobody connects to it again; then it says itself that it takes no more.
        self.sockets.borrow_mut().close_edges(process, instance, &mut self.home.borrow_mut());
        let patience = self.drain_deadline().saturating_add(BEYOND_DRAIN);
        let finished = self.send_away(&keeper, patience).await;
        self.forget(process, instance);
        if finished {
            return Ok(());
        }
        Err(format!(
            "{} did not finish within {} and was killed: what it still held is cut",
            keeper.name(),
            span(patience)
        ))
    }

    /// A reload may have changed it, which nobody tells the launcher. The processes keep to it; this is only for one that hangs.
    fn drain_deadline(&self) -> Duration {
        let config = Config::load(&self.file).map(|(config, _)| config.bulkhead.drain_deadline);
        config.unwrap_or(self.drain_deadline)
    }

    /// Whether it went by itself, within this time.
    async fn send_away(&self, keeper: &Keeper, time: Duration) -> bool {
        keeper.let_go();
        keeper.terminate();
        let gone = |time| timeout(time, self.shared.changed.until(|| keeper.gone().then_some(())));
        let finished = gone(time).await.is_ok();
        if !finished {
            keeper.kill();
            let _ = gone(AFTER_KILL).await;
        }
        finished
    }

    fn may_end(&self, process: Process, instance: u32) -> Result<Rc<Keeper>, String> {
        if self.closing.get() {
            return Err(CLOSING.to_owned());
        }
        let keepers = self.keepers.borrow();
        let mut staying = keepers.iter().filter(|keeper| keeper.process() == process && !keeper.is_let_go());
        let keeper = staying.clone().find(|keeper| keeper.instance() == instance);
        let keeper = keeper.ok_or_else(|| format!("{process}@{instance} is not there, or goes already"))?;
        if !staying.any(|other| other.instance() != instance && other.served()) {
            return Err(format!("{process}@{instance} is the only one that serves: it stays"));
        }
        Ok(Rc::clone(keeper))
    }

    fn forget(&self, process: Process, instance: u32) {
        self.keepers.borrow_mut().retain(|keeper| (keeper.process(), keeper.instance()) != (process, instance));
        self.sockets.borrow_mut().close(process, instance, &mut self.home.borrow_mut());
        self.shared.out_of_trouble(process, instance);
    }
}

const CLOSING: &str = "the launcher is stopping";
