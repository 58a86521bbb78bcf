//! The config file.

use std::path::Path;
use std::{fs, io};

use serde::Deserialize;

use crate::failure::Failure;
use crate::options::{RunOptions, ServeOptions};

const DEFAULT: &str = "gateway.toml";

/// What `gateway.toml` says.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    pub(crate) serve: ServeOptions,
    pub(crate) run: RunOptions,
}

impl Config {
    /// Reads `path`, or `gateway.toml` if that is there.
    pub(crate) fn load(path: Option<&Path>) -> Result<Config, Failure> {
        let asked = path.is_some();
        let path = path.unwrap_or(Path::new(DEFAULT));
        match fs::read_to_string(path) {
            Ok(text) => Config::parse(path, &text),
            Err(error) if !asked && error.kind() == io::ErrorKind::NotFound => {
                Ok(Config::default())
            }
            Err(source) => {
                Err(Failure::Unreadable { what: "config file", path: path.into(), source })
            }
        }
    }

    fn parse(path: &Path, text: &str) -> Result<Config, Failure> {
        toml::from_str(text).map_err(|error| {
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            Failure::Config {
                path: path.into(),
                line: before.matches('\n').count() + 1,
                reason: error.message().lines().collect::<Vec<_>>().join(", "),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guides_example_is_understood() {
        let guide = include_str!("../../../../../docs/guides/command.md");
        let (_, example) = guide.split_once("```toml\n").expect("there is one");
        let (example, _) = example.split_once("```").expect("it ends");
        let config = Config::parse(Path::new("guide"), example).expect("it is right");
        assert_eq!((config.serve.port, config.run.reload), (Some(8080), Some(true)));
    }
}
