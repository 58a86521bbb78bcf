//! One HTTP/1.1 connection: engine and handler over a [`Transport`], written once.
//!
//! A server accepts connections, makes a [`Transport`] of each, and has it served by [`serve`] on a
//! thread or as a task. Everything that HTTP and the contract ask for happens in here, so two
//! servers put the same bytes on the wire.

mod advance;
mod caught;
mod date;
mod descriptors;
mod exchange;
mod link;
mod listener;
mod pump;
mod registry;
mod request;
mod serve;
mod service;
mod settings;
mod slot;
mod transport;
mod upgrade;
mod wakers;
mod wire;

pub use descriptors::Descriptors;
pub use listener::{Listener, ListenerSocket, SocketFile};
pub use registry::{Full, Permit, Registry};
pub use serve::serve;
pub use service::Service;
pub use settings::{DEFAULT_GRACE, Settings};
pub use slot::Slot;
pub use transport::{Phase, Transport};

pub use gateway_core::ErrorStream;
pub use gateway_http1::{Limits, Timeouts};
