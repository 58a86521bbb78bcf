//! What all connections of a server share.

use std::sync::Arc;

use gateway_core::{Application, DEFAULT_BODY_LIMIT};
use gateway_http1::Config;

/// The application, and how its connections are to be treated.
#[derive(Clone)]
pub struct Service {
    /// What answers.
    pub application: Arc<dyn Application>,
    /// The engine's limits and timeouts.
    pub config: Arc<Config>,
    /// The body limit in bytes, which an application may change by route.
    pub body_limit: u64,
    /// Whether a `Server` field is filled in where the application sets none.
    pub server_header: bool,
}

impl Service {
    /// `application` with default limits.
    pub fn new(application: Arc<dyn Application>) -> Service {
        Service {
            application,
            config: Arc::new(Config::default()),
            body_limit: DEFAULT_BODY_LIMIT,
            server_header: true,
        }
    }
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Service")
            .field("config", &self.config)
            .field("body_limit", &self.body_limit)
            .finish_non_exhaustive()
    }
}
