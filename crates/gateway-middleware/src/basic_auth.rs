//! Lets in who knows the password.

use std::fmt;

use gateway_core::http::{HeaderValue, StatusCode, header::WWW_AUTHENTICATE};
use gateway_core::{Application, Environ, Error, IntoApplication, Reply, StartResponse};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::credentials::basic_credentials;

const CHALLENGE: &str = "Basic realm=\"gateway\", charset=\"UTF-8\"";

/// Answers 401 to all who do not bring the user's name and password.
///
/// Digests are compared, in constant time, so the time of an answer tells neither how much of a
/// guess was right nor how long the password is. The application inside finds the user as
/// `REMOTE_USER`. The password crosses the network readable, unless something in front speaks TLS.
///
/// ```
/// use gateway_core::{inline, http::StatusCode};
/// use gateway_middleware::BasicAuth;
///
/// let secret = inline(|_, start_response| Ok(start_response.start(StatusCode::OK, ())));
/// let app = BasicAuth::new(secret, "ada", "correct horse").realm("The library")?;
/// # let _ = app;
/// # Ok::<(), gateway_middleware::InvalidRealm>(())
/// ```
///
/// Source: RFC 7617.
pub struct BasicAuth<A> {
    app: A,
    user: String,
    expected: [u8; 32],
    challenge: HeaderValue,
}

/// A realm with a character that no field value can hold.
#[derive(Debug, thiserror::Error)]
#[error("the realm has a control character, which no field may hold; leave it out")]
pub struct InvalidRealm;

impl<A: Application> BasicAuth<A> {
    /// Lets `user` with `password` through to `app`. A user with a colon in its name can never come
    /// in, since the colon ends the name.
    pub fn new<M>(
        app: impl IntoApplication<M, Application = A>,
        user: &str,
        password: &str,
    ) -> BasicAuth<A> {
        BasicAuth {
            app: app.into_application(),
            user: user.to_owned(),
            expected: Sha256::digest(format!("{user}:{password}")).into(),
            challenge: HeaderValue::from_static(CHALLENGE),
        }
    }

    /// What the peer is told to be let into; `gateway` if it is not set.
    ///
    /// # Errors
    ///
    /// [`InvalidRealm`] for a control character other than a tab.
    pub fn realm(self, realm: &str) -> Result<BasicAuth<A>, InvalidRealm> {
        let quoted = realm.replace('\\', r"\\").replace('"', "\\\"");
        let challenge = format!("Basic realm=\"{quoted}\", charset=\"UTF-8\"");
        let challenge = HeaderValue::from_str(&challenge).map_err(|_| InvalidRealm)?;
        Ok(BasicAuth { challenge, ..self })
    }

    fn admits(&self, environ: &Environ) -> bool {
        let given = basic_credentials(environ).unwrap_or_default();
        let given: [u8; 32] = Sha256::digest(given).into();
        given.ct_eq(&self.expected).into()
    }
}

impl<A: Application> Application for BasicAuth<A> {
    fn call(&self, mut environ: Environ, start_response: StartResponse) -> Reply {
        if !self.admits(&environ) {
            let error = Error::with_status(StatusCode::UNAUTHORIZED, "no or wrong credentials");
            return error.with_headers([(WWW_AUTHENTICATE, self.challenge.clone())]).into();
        }
        environ.set_var("AUTH_TYPE", "Basic");
        environ.set_var("REMOTE_USER", self.user.as_str());
        self.app.call(environ, start_response)
    }
}

impl<A: fmt::Debug> fmt::Debug for BasicAuth<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BasicAuth").field("app", &self.app).finish_non_exhaustive()
    }
}
