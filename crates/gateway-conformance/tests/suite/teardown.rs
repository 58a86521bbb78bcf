//! How the suite ends a server whose check is over.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gateway_conformance::suite::Verdict;
use gateway_conformance::{Dialled, Harness, Running, ServerHarness, run_rule};
use gateway_core::{Application, BoxError, Stopped};
use gateway_std::StdServer;

/// Notes the grace of every stop.
struct Watched {
    inner: ServerHarness<StdServer>,
    graces: Arc<Mutex<Vec<Duration>>>,
}

impl Harness for Watched {
    fn name(&self) -> String {
        "watched".to_owned()
    }

    fn start(&self, app: Box<dyn Application>) -> Result<Box<dyn Running>, BoxError> {
        let inner = self.inner.start(app)?;
        Ok(Box::new(WatchedRunning { inner, graces: Arc::clone(&self.graces) }))
    }
}

struct WatchedRunning {
    inner: Box<dyn Running>,
    graces: Arc<Mutex<Vec<Duration>>>,
}

impl Running for WatchedRunning {
    fn dial(&self) -> io::Result<Dialled> {
        self.inner.dial()
    }

    fn stop(self: Box<Self>, grace: Duration) -> Result<Stopped, BoxError> {
        self.graces.lock().expect("nobody panics").push(grace);
        self.inner.stop(grace)
    }
}

/// A body that has just been dropped may belong to a worker that has not returned yet. A cut there
/// made servers that are right fail SRV-16, now and then.
#[test]
fn an_exchange_that_is_ending_is_not_cut() {
    let inner = ServerHarness::new("watched", |errors| {
        Ok(StdServer::bind("127.0.0.1:0")?.error_stream(errors))
    });
    let watched = Watched { inner, graces: Arc::default() };
    let outcome = run_rule(&watched, "SRV-54").expect("there is such a rule");
    assert_eq!(outcome.verdict, Verdict::Passed, "{outcome}");
    let graces = watched.graces.lock().expect("nobody panics");
    assert!(!graces.is_empty() && graces.iter().all(|grace| !grace.is_zero()), "{graces:?}");
}
