//! Applications under path prefixes.

use std::fmt;

use crate::{Application, Environ, Error, IntoApplication, Reply, StartResponse};

/// Several applications under path prefixes: the longest prefix that fits wins.
///
/// A prefix fits whole segments. What it fits moves from `path_info` to `script_name`, so an
/// application works the same wherever it is mounted. Where none fits, the answer is a plain 404,
/// unless a fallback was given with the prefix `""`.
///
/// Paths are compared as they came: `.` and `..` are segments like any other, and nothing resolves
/// them. Choosing an application costs no allocation.
///
/// # Examples
///
/// ```
/// use gateway_core::{Environ, Mount, Response, Result, StartResponse, http::StatusCode};
///
/// fn show(environ: Environ, start_response: StartResponse) -> Result<Response> {
///     let place = format!("{} and {}\n", environ.script_name(), environ.path_info());
///     Ok(start_response.start(StatusCode::OK, ()).with_body(place))
/// }
///
/// # fn main() -> Result<(), gateway_core::MountError> {
/// let app = Mount::new().at("/blog", show).at("/blog/admin", show).build()?;
/// # Ok(()) }
/// ```
///
/// Source: Rack's `URLMap`; PEP 3333, `SCRIPT_NAME` and `PATH_INFO`.
pub struct Mount {
    /// By falling number of segments.
    apps: Vec<(String, Box<dyn Application>)>,
}

impl Mount {
    /// A builder with nothing mounted yet.
    #[expect(clippy::new_ret_no_self, reason = "the builder is how one is made")]
    pub fn new() -> MountBuilder {
        MountBuilder { apps: Vec::new() }
    }
}

impl Application for Mount {
    fn call(&self, mut environ: Environ, start_response: StartResponse) -> Reply {
        for (prefix, app) in &self.apps {
            if environ.enter(prefix) {
                return app.call(environ, start_response);
            }
        }
        let path = environ.raw_path_info();
        let cause = format!("nothing is mounted at {path}");
        Reply::Ready(Err(Error::with_status(http::StatusCode::NOT_FOUND, cause)))
    }
}

impl fmt::Debug for Mount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.apps.iter().map(|(prefix, _)| prefix)).finish()
    }
}

/// Collects what a [`Mount`] mounts.
pub struct MountBuilder {
    apps: Vec<(String, Box<dyn Application>)>,
}

impl MountBuilder {
    /// Mounts `app` under `prefix`: decoded, like `/blog` or `/a/b`; `""` takes what no other does.
    pub fn at<M>(
        mut self,
        prefix: impl Into<String>,
        app: impl IntoApplication<M>,
    ) -> MountBuilder {
        self.apps.push((prefix.into(), app.boxed()));
        self
    }

    /// Checks the prefixes and puts the longest first.
    ///
    /// # Errors
    ///
    /// [`MountError`] for a prefix that does not begin with `/`, that ends with one, or that is
    /// there twice.
    ///
    /// ```
    /// use gateway_core::{Environ, Mount, Response, Result, StartResponse, http::StatusCode};
    ///
    /// fn app(_: Environ, start_response: StartResponse) -> Result<Response> {
    ///     Ok(start_response.start(StatusCode::NO_CONTENT, ()))
    /// }
    ///
    /// let error = Mount::new().at("/", app).build().unwrap_err();
    /// assert!(error.to_string().contains("the empty prefix takes everything else"));
    /// ```
    pub fn build(mut self) -> Result<Mount, MountError> {
        for (prefix, _) in &self.apps {
            if !prefix.is_empty() && !prefix.starts_with('/') {
                return Err(MountError::NoSlash { prefix: prefix.clone() });
            }
            if prefix.ends_with('/') {
                return Err(MountError::TrailingSlash { prefix: prefix.clone() });
            }
        }
        self.apps.sort_by_key(|(prefix, _)| std::cmp::Reverse(prefix.matches('/').count()));
        let mut prefixes: Vec<&String> = self.apps.iter().map(|(prefix, _)| prefix).collect();
        prefixes.sort();
        if let Some(twice) = prefixes.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(MountError::Twice { prefix: twice[0].clone() });
        }
        Ok(Mount { apps: self.apps })
    }
}

impl fmt::Debug for MountBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.apps.iter().map(|(prefix, _)| prefix)).finish()
    }
}

/// A prefix that cannot be mounted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MountError {
    /// It does not begin with `/`.
    #[error("the prefix `{prefix}` must begin with `/`; the empty prefix takes everything else")]
    NoSlash {
        /// The prefix.
        prefix: String,
    },
    /// It ends with `/`.
    #[error(
        "the prefix `{prefix}` must not end with `/`: it stands for whole segments, and \
         the empty prefix takes everything else"
    )]
    TrailingSlash {
        /// The prefix.
        prefix: String,
    },
    /// It is there twice.
    #[error("the prefix `{prefix}` is there twice")]
    Twice {
        /// The prefix.
        prefix: String,
    },
}
