//! Serves applications on threads, over `std::net`, without an async runtime.
//!
//! ```no_run
//! use gateway_core::{Environ, Response, Result, StartResponse, http::StatusCode, run};
//! use gateway_std::StdServer;
//!
//! fn hello(_: Environ, start_response: StartResponse) -> Result<Response> {
//!     Ok(start_response.start(StatusCode::OK, ()).with_body("hello"))
//! }
//!
//! run(StdServer::bind("127.0.0.1:8000")?, hello)?;
//! # Ok::<(), gateway_core::ServerError>(())
//! ```
//!
//! A connection has a thread while it lasts, and up to [`max_connections`](StdServer::max_connections)
//! of them are served at a time. An application may block as long as it likes. A `Pending` reply is
//! polled on the connection's thread, which in between waits for the socket and for wake-ups alike.
//!
//! | file | what it knows |
//! |---|---|
//! | `server` | the builder |
//! | `acceptor` | accepting, evicting, and the shutdown: the thread of `serve` |
//! | `ending` | how a connection is ended from outside its thread |
//! | `workers` | threads, and who is idle |
//! | `transport` | one connection as the driver sees it |
//! | `socket` | system calls, and who waits for what |
//! | `drive` | a future and a socket on one thread |
//! | `shared` | what all threads know: the shutdown, and how to wake the acceptor |
//! | `clock` | the time, published a few times a second |
//!
//! No request takes a lock that another connection takes, makes a system call for a timer or reads
//! the clock.

mod acceptor;
mod clock;
mod drive;
mod ending;
mod server;
mod shared;
mod socket;
mod transport;
mod workers;

pub use gateway_connection::{DEFAULT_GRACE, Limits, Timeouts};
pub use server::StdServer;
