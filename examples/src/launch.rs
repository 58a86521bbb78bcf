//! What the binaries share: the command line, the choice of the server, and signals.
//!
//! ```text
//! --server std|tokio     threads, or Tokio (default: std)
//! --addr ADDRESS         HOST:PORT or unix:PATH (default: 127.0.0.1:8000)
//! --threads N            threads of the Tokio server; std has one for each connection
//! ```

use std::error::Error;
use std::io::Write;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use gateway_core::{Address, Handle, IntoApplication, Server, Stopped, run};
use gateway_std::StdServer;
use gateway_tokio::TokioServer;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

const USAGE: &str = "\
Usage: [--server std|tokio] [--addr HOST:PORT|unix:PATH] [--threads N]

  --server NAME   std (a thread for each connection) or tokio; std if not given
  --addr ADDRESS  where to listen; 127.0.0.1:8000 if not given, port 0 for any free one
  --threads N     how many threads the Tokio server has; std has as many as connections
  --help          this text

SIGINT or SIGTERM lets requests finish for 25 seconds; a second one ends at once.
";

/// How long requests may take to finish after a signal.
const GRACE: Duration = Duration::from_secs(25);

/// Serves `app` as the command line says, until a signal comes.
pub fn launch<M>(app: impl IntoApplication<M>) -> ExitCode {
    match try_launch(app) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&*error);
            ExitCode::FAILURE
        }
    }
}

/// Writes `error` and its causes to standard error, as one line.
pub fn complain(error: &(dyn Error + 'static)) {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line = format!("{line}: {error}");
        cause = error.source();
    }
    tell(std::io::stderr(), &format!("error: {line}\n"));
}

fn try_launch<M>(app: impl IntoApplication<M>) -> Result<(), Box<dyn Error>> {
    let Some(options) = Options::parse(lexopt::Parser::from_env())? else {
        tell(std::io::stdout(), USAGE);
        return Ok(());
    };
    if options.threads == Some(0) {
        return Err("--threads 0 serves nobody; it is at least 1".into());
    }
    let stopped = match options.server {
        Choice::Std => {
            if options.threads.is_some() {
                let told = "--threads is for tokio; std has a thread for each connection\n";
                tell(std::io::stderr(), told);
            }
            serve(StdServer::bind(&options.addr)?, app)?
        }
        Choice::Tokio => {
            let server = TokioServer::bind(&options.addr)?;
            match options.threads {
                Some(threads) => serve(server.threads(threads), app)?,
                None => serve(server, app)?,
            }
        }
    };
    tell(std::io::stderr(), &format!("{stopped}\n"));
    Ok(())
}

fn serve<M>(server: impl Server, app: impl IntoApplication<M>) -> Result<Stopped, Box<dyn Error>> {
    stop_on_signals(server.handle())?;
    for address in server.local_addrs() {
        let scheme = if matches!(address, Address::Inet(_)) { "http://" } else { "" };
        tell(std::io::stdout(), &format!("Listening on {scheme}{address}\n"));
    }
    Ok(run(server, app)?)
}

fn stop_on_signals(handle: Handle) -> std::io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let wait = move || {
        let grace = std::iter::once(GRACE).chain(std::iter::repeat(Duration::ZERO));
        for (_, grace) in signals.forever().zip(grace) {
            handle.shutdown(grace);
        }
    };
    thread::Builder::new().name("signals".into()).spawn(wait).map(drop)
}

struct Options {
    server: Choice,
    addr: String,
    threads: Option<usize>,
}

#[derive(Clone, Copy)]
enum Choice {
    Std,
    Tokio,
}

impl Options {
    /// What the command line says; `None` where it asks for help.
    fn parse(mut parser: lexopt::Parser) -> Result<Option<Options>, lexopt::Error> {
        use lexopt::{Arg::Long, ValueExt};

        let mut options =
            Options { server: Choice::Std, addr: "127.0.0.1:8000".to_owned(), threads: None };
        while let Some(argument) = parser.next()? {
            match argument {
                Long("server") => {
                    options.server = parser.value()?.parse_with(|name| match name {
                        "std" => Ok(Choice::Std),
                        "tokio" => Ok(Choice::Tokio),
                        _ => Err("it is `std` or `tokio`"),
                    })?;
                }
                Long("addr") => options.addr = parser.value()?.string()?,
                Long("threads") => options.threads = Some(parser.value()?.parse()?),
                Long("help") => return Ok(None),
                _ => return Err(argument.unexpected()),
            }
        }
        Ok(Some(options))
    }
}

/// Whoever started the program may have stopped to listen, which is no reason not to serve.
fn tell(mut to: impl Write, text: &str) {
    let _ = to.write_all(text.as_bytes()).and_then(|()| to.flush());
}
