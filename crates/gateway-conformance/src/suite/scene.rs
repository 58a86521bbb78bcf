//! Where a check takes place: a server with an application of the suite's, and its clients.

use std::fmt;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use gateway_core::{Application, BoxError, IntoApplication, ServerInfo, Stopped};

use super::claims::{Claims, Feature};
use super::guard::{Findings, guard};
use super::harness::{Harness, Running};
use super::peer::Peer;
use super::transcript::Transcript;
use super::witness::Witness;

/// What an exchange that is ending gets for it when its check is over. Were it cut at once, its end
/// hooks could run while a worker still drops the body, which no server could help and the lint tells.
const MOMENT: Duration = Duration::from_millis(250);

/// What a check comes to.
pub(super) type Checked = Result<(), Trouble>;

/// What was found to be wrong, in a sentence.
#[derive(Debug)]
pub(super) struct Trouble(String);

impl Trouble {
    pub(super) fn new(what: impl Into<String>) -> Trouble {
        Trouble(what.into())
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Returns a [`Trouble`] unless the condition holds.
macro_rules! ensure {
    ($condition:expr, $($text:tt)+) => {
        if !$condition {
            return Err($crate::suite::scene::Trouble::new(format!($($text)+)));
        }
    };
}

pub(super) use ensure;

/// The surroundings of one check.
pub(super) struct Scene<'a> {
    harness: &'a dyn Harness,
    claims: Claims,
    findings: Findings,
    transcripts: Mutex<Vec<Transcript>>,
}

impl<'a> Scene<'a> {
    pub(super) fn new(harness: &'a dyn Harness) -> Scene<'a> {
        Scene {
            harness,
            claims: harness.claims(),
            findings: Findings::default(),
            transcripts: Mutex::default(),
        }
    }

    /// Whether the server claims `feature`.
    pub(super) fn has(&self, feature: Feature) -> bool {
        self.claims.has(feature)
    }

    /// Starts a server with `app`, and a witness that the two share.
    pub(super) fn serve<A, M>(&self, app: impl FnOnce(Witness) -> A) -> Result<Site<'_>, Trouble>
    where
        A: IntoApplication<M>,
    {
        let witness = Witness::new(self.harness.patience());
        let app = app(witness.clone()).boxed();
        self.start(app, witness)
    }

    fn start(&self, app: Box<dyn Application>, witness: Witness) -> Result<Site<'_>, Trouble> {
        let app = guard(app, &self.findings);
        let running = self
            .harness
            .start(app)
            .map_err(|error| Trouble::new(format!("the server does not start: {error}")))?;
        Ok(Site { scene: self, running: Some(running), witness })
    }

    /// What the lint found, and what went over the connections.
    pub(super) fn findings(&self) -> Option<String> {
        self.findings.take()
    }

    pub(super) fn transcripts(&self) -> String {
        let transcripts = self.transcripts.lock().unwrap_or_else(PoisonError::into_inner);
        transcripts.iter().map(|transcript| format!("a connection:\n{transcript}")).collect()
    }
}

/// A running server.
pub(super) struct Site<'a> {
    scene: &'a Scene<'a>,
    running: Option<Box<dyn Running>>,
    pub(super) witness: Witness,
}

impl Site<'_> {
    /// Connects.
    pub(super) fn dial(&self) -> Result<Peer, Trouble> {
        self.dial_allowing(None)
    }

    /// Connects, and reads no more than so many bytes before it is allowed to.
    pub(super) fn dial_allowing(&self, allowed: Option<u64>) -> Result<Peer, Trouble> {
        let transcript = Transcript::default();
        let running = self.running()?;
        let peer = running.dial().and_then(|dialled| {
            let mut all = self.scene.transcripts.lock().unwrap_or_else(PoisonError::into_inner);
            all.push(transcript.clone());
            Peer::new(dialled, transcript, self.witness.patience(), allowed)
        });
        peer.map_err(|error| Trouble::new(format!("no connection: {error}")))
    }

    /// What the server said before it served.
    pub(super) fn info(&self) -> Result<ServerInfo, Trouble> {
        let info = self.running()?.info();
        info.ok_or_else(|| Trouble::new("it claims facts before serving, and tells none"))
    }

    /// What was logged.
    pub(super) fn logged(&self) -> Result<Vec<String>, Trouble> {
        let lines = self.running()?.logged();
        lines.ok_or_else(|| Trouble::new("it claims a log to look into, and shows none"))
    }

    /// Stops the server, which has nothing left to do, and expects it to say so.
    pub(super) fn stop(&mut self) -> Checked {
        let stopped = self.begin_stop(self.witness.patience() / 2)?.wait()?;
        ensure!(
            stopped == Stopped::default(),
            "the server had nothing left to do and said: {stopped}"
        );
        Ok(())
    }

    /// Begins to stop the server.
    pub(super) fn begin_stop(&mut self, grace: Duration) -> Result<Stopping, Trouble> {
        let Some(running) = self.running.take() else {
            return Err(Trouble::new("the server was stopped before"));
        };
        stop(running, grace, self.witness.patience())
    }

    fn running(&self) -> Result<&dyn Running, Trouble> {
        self.running.as_deref().ok_or_else(|| Trouble::new("the server was stopped before"))
    }
}

impl Drop for Site<'_> {
    fn drop(&mut self) {
        self.witness.open_all();
        if let Some(running) = self.running.take() {
            // The check has its outcome; a server that does not end here fails the rules about it.
            let _ = stop(running, MOMENT, self.witness.patience()).and_then(Stopping::wait);
        }
    }
}

/// A server that is about to end.
pub(super) struct Stopping {
    told: Receiver<Result<Stopped, BoxError>>,
    patience: Duration,
}

impl Stopping {
    pub(super) fn wait(self) -> Result<Stopped, Trouble> {
        match self.told.recv_timeout(self.patience) {
            Ok(Ok(stopped)) => Ok(stopped),
            Ok(Err(error)) => Err(Trouble::new(format!("the server failed: {error}"))),
            Err(_) => Err(Trouble::new("the server does not end")),
        }
    }
}

fn stop(
    running: Box<dyn Running>,
    grace: Duration,
    patience: Duration,
) -> Result<Stopping, Trouble> {
    let (tell, told) = channel();
    thread::Builder::new()
        .name("suite: stops".to_owned())
        .spawn(move || {
            // Whoever waited may have given up.
            let _ = tell.send(running.stop(grace));
        })
        .map_err(|error| Trouble::new(format!("no thread to stop the server: {error}")))?;
    Ok(Stopping { told, patience })
}
