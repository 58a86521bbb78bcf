//! Tiny crates with applications in them, in the tests' own directory below the target directory:
//! always in the same place, so that what is built once is not built again.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::gateway;

/// A crate; each test has its own.
pub(crate) struct Crate {
    pub(crate) directory: PathBuf,
}

impl Crate {
    /// The crate `name` with `library` as its src/lib.rs.
    pub(crate) fn new(name: &str, library: &str) -> Crate {
        Crate::depending_on(name, "", library)
    }

    /// The same, with more lines of dependencies: of such as the workspace has, too.
    pub(crate) fn depending_on(name: &str, dependencies: &str, library: &str) -> Crate {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("crates").join(name);
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let core = here.with_file_name("gateway-core");
        let manifest = format!(
            "[package]\nname = {name:?}\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n\n\
             [dependencies]\ngateway-core = {{ path = {core:?} }}\n{dependencies}"
        );
        fs::create_dir_all(directory.join("src")).unwrap();
        fs::write(directory.join("Cargo.toml"), manifest).unwrap();
        // The versions that are there, since nothing is fetched.
        fs::copy(here.join("../../Cargo.lock"), directory.join("Cargo.lock")).unwrap();
        let tiny = Crate { directory };
        tiny.write(library);
        tiny
    }

    /// Changes its source.
    pub(crate) fn write(&self, library: &str) {
        fs::write(self.directory.join("src/lib.rs"), library).unwrap();
    }

    /// `gateway run` for `path` in it, on a free port.
    pub(crate) fn run(&self, path: &str, args: &[&str]) -> Command {
        let mut command = gateway(&self.directory);
        let app = format!(".:{path}");
        command.args(["run", &app, "--addr", "127.0.0.1:0"]).args(args);
        command.env("CARGO_NET_OFFLINE", "true").env_remove("RUSTFLAGS");
        command.env("CARGO_TARGET_DIR", self.target());
        command
    }

    /// Where it is built, like all of them.
    pub(crate) fn target(&self) -> PathBuf {
        Path::new(env!("CARGO_TARGET_TMPDIR")).join("target")
    }

    /// What `gateway run` complains about with `args`, and its exit code.
    pub(crate) fn refusal(&self, path: &str, args: &[&str]) -> (String, Option<i32>) {
        let output = self.run(path, args).output().unwrap();
        (String::from_utf8(output.stderr).unwrap(), output.status.code())
    }
}
