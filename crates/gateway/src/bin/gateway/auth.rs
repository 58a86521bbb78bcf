//! The user and the password that `--auth` names.

use std::path::PathBuf;
use std::{env, fs};

use crate::failure::Failure;

/// A user's name and password.
pub(crate) struct Credentials {
    pub(crate) user: String,
    pub(crate) password: String,
}

impl Credentials {
    /// Reads `user:PASSWORD`, `user:@FILE` or `user:$VARIABLE`.
    pub(crate) fn read(text: &str) -> Result<Credentials, Failure> {
        let Some((user, secret)) = text.split_once(':').filter(|(user, _)| !user.is_empty()) else {
            return refuse("write user:PASSWORD, user:@FILE or user:$VARIABLE".to_owned());
        };
        let password = if let Some(path) = secret.strip_prefix('@') {
            let text = fs::read_to_string(path).map_err(|source| Failure::Unreadable {
                what: "password file",
                path: PathBuf::from(path),
                source,
            })?;
            text.strip_suffix('\n')
                .map(|line| line.strip_suffix('\r').unwrap_or(line))
                .unwrap_or(&text)
                .to_owned()
        } else if let Some(name) = secret.strip_prefix('$') {
            match env::var(name) {
                Ok(value) => value,
                Err(error) => {
                    return refuse(format!("the variable `{name}` cannot be used: {error}"));
                }
            }
        } else {
            secret.to_owned()
        };
        if password.is_empty() {
            return refuse(format!("the password of `{user}` is empty; it would keep nobody out"));
        }
        Ok(Credentials { user: user.to_owned(), password })
    }
}

fn refuse<T>(reason: String) -> Result<T, Failure> {
    Err(Failure::Auth(reason))
}
