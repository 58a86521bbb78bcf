//! What an operator may set, the same for every server.

use std::sync::Arc;
use std::time::Duration;

use gateway_core::{Application, DEFAULT_BODY_LIMIT, ErrorStream, ServerError};
use gateway_http1::{Config, ConfigError, Limits, Timeouts};

use crate::{Descriptors, Service};

/// What to give requests in flight at a shutdown, where the operator says nothing else: 25 s, which
/// is inside the 30 s that supervisors commonly wait before they kill.
pub const DEFAULT_GRACE: Duration = Duration::from_secs(25);

/// Every limit and timeout that the servers share, with defaults that can face the internet.
///
/// A server's builder holds one, gets its methods from [`builder_methods!`](crate::builder_methods),
/// and calls [`validate`](Settings::validate) once when it begins to serve.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What a peer may send.
    pub limits: Limits,
    /// How long a peer may take. The default of `keep_alive` is each server's own.
    pub timeouts: Timeouts,
    /// The longest request body in bytes, which an application may change by route before it reads:
    /// 2 MiB.
    pub body_limit: u64,
    /// How many connections are served at a time; `None` is the server's own default, or less where
    /// the process's [descriptors](Descriptors) allow less. Further ones wait in the listener's backlog.
    pub max_connections: Option<usize>,
    /// How many of them may come from one IP address, or from one /64 network with IPv6; `None`, the
    /// default, is no such limit, since many users may share an address. Further ones are closed at
    /// once.
    pub max_connections_per_address: Option<usize>,
    /// The name that `SERVER_NAME` gives; `None` is the one that was bound.
    pub server_name: Option<String>,
    /// Whether a `Server` field is filled in where the application sets none: yes.
    pub server_header: bool,
    /// Where complaints go, the application's and the server's: to standard error.
    pub errors: ErrorStream,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            limits: Limits::default(),
            timeouts: Timeouts::default(),
            body_limit: DEFAULT_BODY_LIMIT,
            max_connections: None,
            max_connections_per_address: None,
            server_name: None,
            server_header: true,
            errors: ErrorStream::stderr(),
        }
    }
}

impl Settings {
    /// Checks every value, once, before the first connection.
    ///
    /// # Errors
    ///
    /// [`ServerError::Setting`] for the first value that cannot work.
    pub fn validate(&self) -> Result<(), ServerError> {
        self.config().validate().map_err(|error| refused_by_engine(&error))?;
        let refuse = |setting, reason: &str| {
            Err(ServerError::Setting { setting, reason: reason.to_owned() })
        };
        if self.max_connections == Some(0) {
            return refuse("max_connections", "with 0 nobody is served; it is at least 1");
        }
        if self.max_connections_per_address == Some(0) {
            return refuse(
                "max_connections_per_address",
                "with 0 nobody is served; it is at least 1, or do not set it",
            );
        }
        match &self.server_name {
            Some(name) if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_graphic()) => {
                refuse("server_name", "it is a host name or an address, in visible ASCII")
            }
            _ => Ok(()),
        }
    }

    /// How many connections are served at a time: what the operator has set, even if descriptors may
    /// run out then, or else `default`, or what `descriptors` allows now if that is less.
    pub fn connections(&self, default: usize, descriptors: Descriptors) -> usize {
        self.max_connections.unwrap_or_else(|| default.min(descriptors.connections()))
    }

    /// What all connections of the server share. To be called after
    /// [`validate`](Settings::validate).
    pub fn service(&self, application: Arc<dyn Application>) -> Arc<Service> {
        Arc::new(Service {
            config: Arc::new(self.config()),
            body_limit: self.body_limit,
            server_header: self.server_header,
            ..Service::new(application)
        })
    }

    fn config(&self) -> Config {
        Config { limits: self.limits.clone(), timeouts: self.timeouts.clone() }
    }
}

fn refused_by_engine(error: &ConfigError) -> ServerError {
    let setting = if error.name.starts_with("timeouts.") { "timeouts" } else { "limits" };
    ServerError::Setting { setting, reason: error.to_string() }
}

/// The builder methods that every server has, for a type with a field `settings` of type
/// [`Settings`]: `limits`, `timeouts`, `current_timeouts`, `body_limit`, `max_connections`,
/// `max_connections_per_address`, `server_name`, `server_header`, `error_stream`.
///
/// ```
/// use gateway_connection::{Settings, builder_methods};
///
/// #[derive(Default)]
/// pub struct MyServer {
///     settings: Settings,
/// }
///
/// impl MyServer {
///     builder_methods!();
/// }
///
/// let server = MyServer::default().body_limit(1 << 20).server_name("example.com");
/// server.settings.validate()?;
/// # Ok::<(), gateway_core::ServerError>(())
/// ```
#[macro_export]
macro_rules! builder_methods {
    () => {
        /// Bounds what a peer may send. Default: `Limits::default()`.
        #[must_use]
        pub fn limits(mut self, limits: $crate::Limits) -> Self {
            self.settings.limits = limits;
            self
        }

        /// Bounds how long a peer may take. All of them are replaced, the server's own default of
        /// `keep_alive` too; see [`current_timeouts`](Self::current_timeouts).
        #[must_use]
        pub fn timeouts(mut self, timeouts: $crate::Timeouts) -> Self {
            self.settings.timeouts = timeouts;
            self
        }

        /// The timeouts in force, to change some of them and leave the rest.
        pub fn current_timeouts(&self) -> &$crate::Timeouts {
            &self.settings.timeouts
        }

        /// The longest request body, in bytes, where the application sets none with
        /// `Input::limit`. Default: 2 MiB.
        #[must_use]
        pub fn body_limit(mut self, bytes: u64) -> Self {
            self.settings.body_limit = bytes;
            self
        }

        /// How many connections are served at a time. At the limit the server stops to accept, and
        /// further connections wait in the backlog; from 7/8 of it on, connections that have been
        /// idle for a second, and then the oldest unfinished request heads, are ended to make room.
        ///
        /// Default: the server's own number, or less where the process's file descriptors allow less.
        /// A number that is set here counts even if there are not descriptors enough for it.
        #[must_use]
        pub fn max_connections(mut self, connections: usize) -> Self {
            self.settings.max_connections = Some(connections);
            self
        }

        /// How many connections one IP address may have, or one /64 network with IPv6, all of which is
        /// usually one customer's; further ones are closed at once. Default: any number, since many
        /// users may share an address.
        #[must_use]
        pub fn max_connections_per_address(mut self, connections: usize) -> Self {
            self.settings.max_connections_per_address = Some(connections);
            self
        }

        /// The name in `SERVER_NAME`. Default: the name or address that was bound.
        #[must_use]
        pub fn server_name(mut self, name: impl Into<String>) -> Self {
            self.settings.server_name = Some(name.into());
            self
        }

        /// Whether a `Server` field is sent where the application sets none. Default: yes.
        #[must_use]
        pub fn server_header(mut self, sent: bool) -> Self {
            self.settings.server_header = sent;
            self
        }

        /// Where complaints go, the application's and the server's. Default: standard error.
        #[must_use]
        pub fn error_stream(mut self, errors: $crate::ErrorStream) -> Self {
            self.settings.errors = errors;
            self
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(change: impl FnOnce(&mut Settings)) -> String {
        let mut settings = Settings::default();
        change(&mut settings);
        settings.validate().expect_err("the setting is refused").to_string()
    }

    #[test]
    fn the_defaults_are_valid() {
        assert!(Settings::default().validate().is_ok());
    }

    #[test]
    fn what_the_operator_sets_counts_whatever_the_descriptors_allow() {
        // So many that hardly a limit allows two connections.
        let each = Descriptors::each(u32::MAX);
        let mut settings = Settings::default();
        assert_eq!(settings.connections(512, each), each.connections().min(512));
        assert_eq!(settings.connections(1, Descriptors::each(1)), 1);
        settings.max_connections = Some(1_000);
        assert_eq!(settings.connections(512, each), 1_000);
    }

    #[test]
    fn what_cannot_work_is_refused_by_its_method() {
        assert_eq!(
            refused(|s| s.max_connections = Some(0)),
            "the setting `max_connections` is refused: with 0 nobody is served; it is at least 1"
        );
        assert!(refused(|s| s.max_connections_per_address = Some(0)).contains("_per_address`"));
        assert!(refused(|s| s.server_name = Some("a\r\nb".into())).contains("`server_name`"));
        assert_eq!(
            refused(|s| s.limits.head = 0),
            "the setting `limits` is refused: limits.head is 0: zero would refuse every request"
        );
        assert!(refused(|s| s.timeouts.stall = Duration::ZERO).contains("`timeouts`"));
    }
}
