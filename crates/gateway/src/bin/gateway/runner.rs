//! The runner of one application: a small crate in the target directory.

use std::io::{BufRead, BufReader, IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::{fs, io};

use gateway::console;
use serde_json::Value;

use crate::failure::Failure;
use crate::options::ServerChoice;
use crate::package::{Package, cargo};

/// A generated crate, ready to be built.
#[derive(Debug, Clone)]
pub(crate) struct Runner {
    package: Arc<Package>,
    path: String,
    directory: PathBuf,
    release: bool,
    /// The build that runs.
    cargo: Arc<Mutex<Option<Child>>>,
}

impl Runner {
    /// Writes the crate for `path` in the library of `package`.
    pub(crate) fn generate(
        package: Arc<Package>,
        path: &str,
        server: ServerChoice,
        release: bool,
    ) -> Result<Runner, Failure> {
        let server = match server {
            ServerChoice::Std => "std",
            ServerChoice::Tokio => "tokio",
        };
        let slug = format!("{}-{}", package.name, path.replace("::", "-"));
        let name = format!("gateway-run-{slug}-{server}");
        let directory = package.target.join("gateway-run").join(&name);
        let manifest = format!(
            "[package]\nname = {name:?}\nversion = \"0.0.0\"\nedition = \"2024\"\npublish = false\n\n\
             [workspace]\n\n\
             [dependencies]\n\
             gateway = {{ {}, default-features = false, features = [{server:?}] }}\n\
             {} = {{ path = {:?} }}\n",
            package.ours("gateway")?,
            package.name,
            package.directory.display().to_string(),
        );
        let main = format!(
            "fn main() -> std::process::ExitCode {{\n    \
             gateway::runner::run_{server}(&::{}::{path})\n}}\n",
            package.library,
        );
        let runner =
            Runner { package, path: path.to_owned(), directory, release, cargo: Arc::default() };
        runner
            .write(&manifest, &main)
            .map_err(|source| Failure::Io { action: "write the runner", source })?;
        Ok(runner)
    }

    fn write(&self, manifest: &str, main: &str) -> io::Result<()> {
        fs::create_dir_all(self.directory.join("src"))?;
        refresh(&self.directory.join("Cargo.toml"), manifest.as_bytes())?;
        refresh(&self.directory.join("src/main.rs"), main.as_bytes())?;
        // So that the same versions are built as in the application's workspace. Cargo adds what
        // only the runner needs, so it is left alone until the workspace's own is another one.
        let lock = match fs::read(self.package.workspace.join("Cargo.lock")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            lock => lock?,
        };
        let ours = self.directory.join("Cargo.lock");
        if refresh(&self.directory.join("workspace.lock"), &lock)? || !ours.exists() {
            fs::write(ours, lock)?;
        }
        Ok(())
    }

    /// Builds it: the program. What the compiler complains about is printed.
    pub(crate) fn build(&self) -> Result<PathBuf, Failure> {
        let failed = |source| Failure::Io { action: "run cargo", source };
        let terminal = io::stderr().is_terminal();
        let mut command = cargo();
        command.args(["build", "--message-format", "json-diagnostic-rendered-ansi"]);
        command.arg("--manifest-path").arg(self.directory.join("Cargo.toml"));
        command.arg("--target-dir").arg(&self.package.target);
        command.args(self.release.then_some("--release"));
        // On a terminal cargo shows by itself how far it is.
        command.args((!terminal).then_some("--quiet"));
        command.current_dir(&self.package.workspace).stdin(Stdio::null()).stdout(Stdio::piped());
        command.stderr(if terminal { Stdio::inherit() } else { Stdio::piped() });
        let mut child = command.spawn().map_err(failed)?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        *self.running() = Some(child);
        // Quiet as it is, cargo says less than a pipe holds.
        let messages: Vec<Value> = stdout
            .into_iter()
            .flat_map(|out| BufReader::new(out).lines())
            .map_while(Result::ok)
            .filter_map(|line| serde_json::from_str(&line).ok())
            .collect();
        let mut said = String::new();
        // What is not text is not said.
        let _ = stderr.map(|mut stderr| stderr.read_to_string(&mut said));
        let child = self.running().take();
        let status = child.map(|mut child| child.wait()).transpose().map_err(failed)?;
        let success = status.is_some_and(|status| status.success());
        let program = messages.iter().find_map(|message| message["executable"].as_str());
        match program {
            Some(program) if success => Ok(program.into()),
            _ => Err(self.explain(&messages, &said)),
        }
    }

    /// Ends the build that runs, if one does.
    pub(crate) fn cancel(&self) {
        if let Some(child) = &mut *self.running() {
            // It may just have ended.
            let _ = child.kill();
        }
    }

    fn running(&self) -> std::sync::MutexGuard<'_, Option<Child>> {
        self.cargo.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says which half failed, after the compiler's own words.
    fn explain(&self, messages: &[Value], said: &str) -> Failure {
        let main = self.directory.join("src/main.rs");
        let mut of_runner = None;
        let mut told = false;
        for message in messages {
            let error = &message["message"];
            if message["reason"] != "compiler-message" || error["level"] != "error" {
                continue;
            }
            if let Some(rendered) = error["rendered"].as_str() {
                console::note(console::on_terminal(rendered).trim_end());
                told = true;
            }
            if message["target"]["src_path"].as_str() == main.to_str() && of_runner.is_none() {
                of_runner = Some(error["code"]["code"].as_str().unwrap_or_default().to_owned());
            }
        }
        let (name, path) = (self.package.name.clone(), self.path.clone());
        match of_runner.as_deref() {
            // Not found, not found in a path, an unresolved import, private.
            Some("E0425" | "E0433" | "E0432" | "E0423" | "E0603") => Failure::NoPath { name, path },
            Some("E0277" | "E0282" | "E0283" | "E0599" | "E0631" | "E0593") => {
                Failure::NotAnApplication { name, path }
            }
            _ if told => Failure::Build("; the compiler's errors are above".to_owned()),
            _ => {
                let line = said.lines().find(|line| line.starts_with("error")).unwrap_or_default();
                Failure::Build(line.trim_start_matches("error").to_owned())
            }
        }
    }
}

/// Lets `path` have `content`, and tells whether it had not: what is written anew is built anew.
fn refresh(path: &Path, content: &[u8]) -> io::Result<bool> {
    if fs::read(path).is_ok_and(|there| there == content) {
        return Ok(false);
    }
    fs::write(path, content)?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_has_changed_is_written() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        assert!(refresh(&path, b"one").unwrap());
        assert!(!refresh(&path, b"one").unwrap());
        assert!(refresh(&path, b"two").unwrap());
        assert_eq!(fs::read(path).unwrap(), b"two");
    }
}
