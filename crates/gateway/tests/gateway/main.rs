//! The command as people meet it: real processes on the loopback interface.

#![expect(clippy::unwrap_used, reason = "a test says by it what it takes for granted")]

mod descriptors;
mod hangup;
mod limits;
mod log;
mod options;
mod precedence;
mod process;
mod proxies;
mod reload;
mod run;
mod serve;
mod terminal;
mod tiny;
mod upload;
