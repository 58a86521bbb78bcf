//! The processes of an application: starts them, replaces them, and ends them.

use std::os::raw::c_int;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, ExitCode, ExitStatus};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use gateway::console;
use gateway::stop::{self, Asked, Stopping, say_stopping};
use notify::{RecursiveMode, Watcher};
use rustix::process::{Pid, Signal, kill_process};
use signal_hook::consts::{SIGCHLD, SIGINT, SIGTERM, SIGUSR1};
use signal_hook::iterator::Signals;

use crate::banner;
use crate::failure::Failure;
use crate::package::Sources;
use crate::run::Start;
use crate::runner::Runner;

/// Sources have changed when nothing has changed for so long: editors write in several steps.
const QUIET: Duration = Duration::from_millis(50);

/// What a runner ends with after a second signal, whichever of ours it meets second.
const AT_ONCE_BY_INT: i32 = 128 + SIGINT;
const AT_ONCE_BY_TERM: i32 = 128 + SIGTERM;

/// Runs one application, again and again if its sources change.
pub(crate) struct Supervisor {
    runner: Runner,
    /// `None` once it is being stopped: from then on nobody is to connect.
    start: Option<Start>,
    what: String,
    events: Receiver<Event>,
    sender: Sender<Event>,
    reloading: bool,
    building: bool,
    changed: bool,
    announced: bool,
    serving: Option<Child>,
    starting: Option<Child>,
    retiring: Vec<Child>,
    stopping: Stopping,
    /// The last signal that changed something.
    stopped_by: c_int,
}

enum Event {
    /// An end is asked for, by this signal.
    Stop(c_int),
    /// The process that is starting serves.
    Ready,
    /// Some process has ended.
    Ended,
    Changed,
    Built(Result<PathBuf, Failure>),
}

impl Supervisor {
    /// Listens to signals; nothing runs yet.
    pub(crate) fn new(runner: Runner, start: Start, what: String) -> Result<Supervisor, Failure> {
        let (sender, events) = channel();
        listen(sender.clone())
            .map_err(|source| Failure::Io { action: "listen to signals", source })?;
        Ok(Supervisor {
            runner,
            start: Some(start),
            what,
            events,
            sender,
            reloading: false,
            building: false,
            changed: false,
            announced: false,
            serving: None,
            starting: None,
            retiring: Vec::new(),
            stopping: Stopping::default(),
            stopped_by: SIGTERM,
        })
    }

    /// Builds and runs it until it is stopped, or ends by itself; if `watched` change, anew.
    pub(crate) fn run(mut self, watched: Option<Sources>) -> Result<ExitCode, Failure> {
        self.reloading = watched.is_some();
        // Before the build, which must not miss a change.
        let _watcher = watched.map(|sources| watch(sources, self.sender.clone())).transpose()?;
        self.build()?;
        while let Ok(event) = self.events.recv() {
            let end = match event {
                Event::Stop(signal) => self.stop(signal),
                Event::Ready => self.swap(),
                Event::Ended => self.bury(),
                Event::Changed => self.change()?,
                Event::Built(outcome) => self.built(outcome)?,
            };
            if let Some(code) = end {
                return Ok(code);
            }
        }
        Ok(ExitCode::FAILURE)
    }

    fn build(&mut self) -> Result<(), Failure> {
        console::note(format_args!("Building {}", self.what));
        self.building = true;
        self.changed = false;
        let (runner, sender) = (self.runner.clone(), self.sender.clone());
        let build = move || {
            // The receiver is there as long as the process is.
            let _ = sender.send(Event::Built(runner.build()));
        };
        let spawned = thread::Builder::new().name("build".into()).spawn(build);
        spawned.map(drop).map_err(|source| Failure::Io { action: "make a thread", source })
    }

    fn change(&mut self) -> Result<Option<ExitCode>, Failure> {
        self.changed = true;
        // One at a time: what is on its way comes first.
        if !self.stopping.has_begun() && !self.building && self.starting.is_none() {
            self.build()?;
        }
        Ok(None)
    }

    fn built(&mut self, outcome: Result<PathBuf, Failure>) -> Result<Option<ExitCode>, Failure> {
        self.building = false;
        let Some(start) = &self.start else { return Ok(self.ended()) };
        match outcome {
            Ok(program) => {
                console::keep_notes();
                let child = start.start(&program);
                let child = child
                    .map_err(|source| Failure::Io { action: "start the application", source })?;
                self.starting = Some(child);
            }
            Err(failure) if !self.reloading => return Err(failure),
            Err(failure) => {
                console::error(failure);
                self.say_what_serves();
                if self.changed {
                    self.build()?;
                }
            }
        }
        Ok(None)
    }

    /// The process that was starting serves: the one before it may end.
    fn swap(&mut self) -> Option<ExitCode> {
        let next = self.starting.take()?;
        if let Some(old) = self.serving.replace(next) {
            signal(&old, Signal::TERM);
            self.retiring.push(old);
            console::note(format_args!("Reloaded {}", self.what));
        }
        if let Some(start) = self.start.as_ref().filter(|_| !self.announced) {
            banner::show(&self.what, &start.address, false);
            self.announced = true;
        }
        if self.changed {
            let _ = self.sender.send(Event::Changed);
        }
        None
    }

    /// Looks who has ended.
    fn bury(&mut self) -> Option<ExitCode> {
        self.retiring.retain_mut(|child| ended(child).is_none());
        if self.starting.as_mut().and_then(ended).is_some_and(|_| self.starting.take().is_some()) {
            if !self.reloading && !self.stopping.has_begun() {
                return Some(ExitCode::FAILURE);
            }
            if !self.stopping.has_begun() {
                console::error("the application ended before it served");
                self.say_what_serves();
                if self.changed {
                    let _ = self.sender.send(Event::Changed);
                }
            }
        }
        if let Some(status) = self.serving.as_mut().and_then(ended) {
            self.serving = None;
            if self.stopping.is_urgent()
                && matches!(status.code(), Some(AT_ONCE_BY_INT | AT_ONCE_BY_TERM))
            {
                return Some(at_once_by(self.stopped_by));
            }
            if self.stopping.has_begun() || !self.reloading {
                return Some(code(status));
            }
            console::error(format_args!("the application ended by itself: {status}"));
            self.say_what_serves();
        }
        self.ended()
    }

    fn stop(&mut self, by: c_int) -> Option<ExitCode> {
        // Two that are the same count as one where the first has not been noticed yet.
        let relayed = match self.stopping.ask(by) {
            Asked::Begin => Signal::TERM,
            Asked::AtOnce => Signal::INT,
            Asked::Nothing => return None,
        };
        self.stopped_by = by;
        if relayed == Signal::TERM {
            say_stopping(by);
        }
        self.start = None;
        self.runner.cancel();
        // Those that retire have had their first signal, and a second one would cut their requests.
        let retiring = self.retiring.iter().filter(|_| self.stopping.is_urgent());
        let processes = [&self.serving, &self.starting].into_iter().flatten().chain(retiring);
        processes.for_each(|child| signal(child, relayed));
        self.ended()
    }

    /// The exit code, if it is being stopped and nothing runs any more.
    fn ended(&self) -> Option<ExitCode> {
        let idle = self.serving.is_none() && self.starting.is_none() && self.retiring.is_empty();
        (self.stopping.has_begun() && idle && !self.building).then_some(ExitCode::SUCCESS)
    }

    fn say_what_serves(&self) {
        console::note(match self.serving {
            Some(_) => "The application that was built before goes on serving.",
            None => "It is built again when its sources change.",
        });
    }
}

fn listen(sender: Sender<Event>) -> std::io::Result<()> {
    let mut signals = Signals::new(stop::signals().iter().chain(&[SIGUSR1, SIGCHLD]))?;
    let forward = move || {
        for signal in signals.forever() {
            let event = match signal {
                SIGUSR1 => Event::Ready,
                SIGCHLD => Event::Ended,
                signal => Event::Stop(signal),
            };
            if sender.send(event).is_err() {
                return;
            }
        }
    };
    thread::Builder::new().name("signals".into()).spawn(forward).map(drop)
}

/// Sends `Changed` when `sources` have changed and are quiet again.
fn watch(sources: Sources, sender: Sender<Event>) -> Result<impl Watcher + use<>, Failure> {
    let failed = |error: notify::Error| Failure::Io {
        action: "watch the sources",
        source: std::io::Error::other(error),
    };
    let (change, changes) = channel();
    let of = sources.clone();
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // The compiler reads them, which is no change.
        let is_change = |event: &notify::Event| {
            !event.kind.is_access()
                && (event.need_rescan() || event.paths.iter().any(|path| of.contain(path)))
        };
        if event.is_ok_and(|event| is_change(&event)) {
            let _ = change.send(());
        }
    })
    .map_err(failed)?;
    for crate_ in &sources.crates {
        watcher.watch(crate_, RecursiveMode::NonRecursive).map_err(failed)?;
    }
    for directory in &sources.directories {
        watcher.watch(directory, RecursiveMode::Recursive).map_err(failed)?;
    }
    let wait = move || {
        while changes.recv().is_ok() {
            while changes.recv_timeout(QUIET).is_ok() {}
            if sender.send(Event::Changed).is_err() {
                return;
            }
        }
    };
    let spawned = thread::Builder::new().name("changes".into()).spawn(wait);
    spawned.map_err(|source| Failure::Io { action: "make a thread", source })?;
    Ok(watcher)
}

fn signal(child: &Child, signal: Signal) {
    // Our children stay ours until they are waited for, so it meets no other process.
    let _ = kill_process(Pid::from_child(child), signal);
}

fn ended(child: &mut Child) -> Option<ExitStatus> {
    child.try_wait().ok().flatten()
}

/// What a process ends with that was told to end at once.
fn at_once_by(signal: c_int) -> ExitCode {
    ExitCode::from(u8::try_from(128 + signal).unwrap_or(1))
}

fn code(status: ExitStatus) -> ExitCode {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    ExitCode::from(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}
