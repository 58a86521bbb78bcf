//! Runs one application for one exchange.
//!
//! [`Contract`] is the whole `start_response` contract, once for every server: synchronous, without
//! I/O, without a clock. A server gives it what the application does and a [`Wire`] to put the
//! result on. What must hold:
//!
//! - The head is held until the first non-empty data, so an error can still become a status.
//! - A declared Content-Length is kept: less cuts the response visibly, more is stopped.
//! - A missing one is filled in when the body's length is known.
//! - Fields of the hop are removed and logged; `Connection: close` is honoured.
//! - An error or a panic before the head becomes a status, afterwards a cut.
//! - Hooks run once, innermost first.

mod caught;
mod complain;
mod contract;
mod file_pieces;
mod head;
mod hooks;
mod in_place;
mod page;
mod wire;

pub use caught::caught;
pub use complain::complain;
pub use contract::{Contract, Flow, Rest, Terms};
pub use file_pieces::FilePieces;
pub use hooks::{Finished, HeadHooks};
pub use in_place::{Channel, answer};
pub use page::error_page;
pub use wire::{Framing, Wire};
