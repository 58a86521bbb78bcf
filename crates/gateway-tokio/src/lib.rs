//! Serves applications on Tokio: in runtimes of its own, or inside one that is there.
//!
//! [`TokioServer`] is all there is; its documentation says where an application runs, what bounds
//! the server, and how it stops.

mod accept;
mod buffers;
mod clock;
mod heart;
mod job;
mod place;
mod reactors;
mod send;
mod server;
mod signals;
mod socket;
mod stop;
mod transport;
mod turn;
mod waiting;
mod workers;

pub use gateway_connection::{Limits, Timeouts};
pub use server::TokioServer;
