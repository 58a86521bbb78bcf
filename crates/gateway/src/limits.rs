//! What the command tells a server: how many connections it takes, and where it complains.

use crate::console;

/// What the operator says of it; `None` leaves the server its own default.
#[derive(Debug, Clone, Copy, Default)]
pub struct ConnectionLimits {
    /// At a time, from everywhere.
    pub connections: Option<usize>,
    /// Of them, from one IP address.
    pub per_address: Option<usize>,
}

/// A server that can be told.
pub trait Limited {
    /// The server, told of `limits`. It complains where the command prints.
    #[must_use]
    fn limited(self, limits: ConnectionLimits) -> Self;
}

macro_rules! limited {
    ($server:ty) => {
        impl Limited for $server {
            fn limited(mut self, limits: ConnectionLimits) -> Self {
                if let Some(connections) = limits.connections {
                    self = self.max_connections(connections);
                }
                if let Some(connections) = limits.per_address {
                    self = self.max_connections_per_address(connections);
                }
                self.error_stream(console::complaints())
            }
        }
    };
}

#[cfg(feature = "std")]
limited!(gateway_std::StdServer);
#[cfg(feature = "tokio")]
limited!(gateway_tokio::TokioServer);
