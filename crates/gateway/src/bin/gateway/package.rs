//! The crate of an application, and where the servers' crates are, as cargo tells it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;

use crate::failure::Failure;

/// Below this, two names are not near.
const NEAR: f64 = 0.8;

/// The crate that an application is in.
#[derive(Debug)]
pub(crate) struct Package {
    /// Its name.
    pub(crate) name: String,
    /// What its library is called in code.
    pub(crate) library: String,
    /// Where it is.
    pub(crate) directory: PathBuf,
    /// Its sources and those of the crates below it that are directories, too.
    pub(crate) sources: Sources,
    /// Where its workspace begins.
    pub(crate) workspace: PathBuf,
    /// Where cargo builds.
    pub(crate) target: PathBuf,
    metadata: Metadata,
}

/// What an application is built of, so far as it is on this machine's own.
#[derive(Debug, Clone)]
pub(crate) struct Sources {
    /// The directories of crates: of what is right in them, manifests and code count.
    pub(crate) crates: Vec<PathBuf>,
    /// Directories of code: everything in and below them counts.
    pub(crate) directories: Vec<PathBuf>,
}

impl Package {
    /// Finds `name`: a package of the workspace here, or the path to a crate.
    ///
    /// `path` is only for what is said if there is none.
    pub(crate) fn find(name: &str, path: &str) -> Result<Package, Failure> {
        let by_path = name.contains('/') || name.starts_with('.');
        let metadata = match by_path {
            true => Metadata::read(Some(&Path::new(name).join("Cargo.toml")), name)?,
            false if !is_in_a_workspace() => {
                return Err(Failure::NoWorkspace(name.to_owned(), path.to_owned()));
            }
            false => Metadata::read(None, name)?,
        };
        let found = match by_path {
            true => {
                let manifest = std::fs::canonicalize(Path::new(name).join("Cargo.toml")).ok();
                metadata.members().find(|package| Some(&package.manifest_path) == manifest.as_ref())
            }
            false => metadata.members().find(|package| package.name == name),
        };
        let Some(found) = found else { return Err(no_crate(name, &metadata)) };
        let library = found
            .targets
            .iter()
            .find(|target| target.kind.iter().any(|kind| kind == "lib" || kind == "rlib"));
        let Some(library) = library else {
            let reason = "has no library; the application must be in its src/lib.rs";
            return Err(Failure::UnfitCrate { name: found.name.clone(), reason: reason.into() });
        };
        Ok(Package {
            name: found.name.clone(),
            library: library.name.replace('-', "_"),
            directory: found.directory(),
            sources: metadata.sources(found),
            workspace: metadata.workspace_root.clone(),
            target: metadata.target_directory.clone(),
            metadata,
        })
    }

    /// How a manifest names our crate `name`, in the version that the application uses.
    pub(crate) fn ours(&self, name: &str) -> Result<String, Failure> {
        let find = |name: &str| self.metadata.packages.iter().find(|p| p.name == name);
        let unfit = |reason: &str| Failure::UnfitCrate {
            name: self.name.clone(),
            reason: reason.to_owned(),
        };
        let core = find("gateway-core")
            .ok_or_else(|| unfit("does not depend on gateway-core, so it has no application"))?;
        if core.source.is_some() {
            return Ok(format!("version = \"={}\"", core.version));
        }
        let beside = core.directory().with_file_name(name);
        let directory = find(name).map_or(beside, PackageData::directory);
        if !directory.join("Cargo.toml").is_file() {
            return Err(unfit(&format!("uses a gateway-core without a {name} beside it")));
        }
        Ok(format!("path = {:?}", directory.display().to_string()))
    }
}

/// Whether cargo finds a manifest here or above.
fn is_in_a_workspace() -> bool {
    // Where there is no telling, cargo has its say.
    std::env::current_dir().map_or(true, |here| {
        here.ancestors().any(|directory| directory.join("Cargo.toml").is_file())
    })
}

fn no_crate(name: &str, metadata: &Metadata) -> Failure {
    let nearest = metadata
        .members()
        .map(|package| (strsim::jaro_winkler(&package.name, name), &package.name))
        .filter(|(likeness, _)| *likeness >= NEAR)
        .max_by(|(a, _), (b, _)| a.total_cmp(b));
    let near = match nearest {
        Some((_, near)) => format!("; is it `{near}`?"),
        None => "; the path to a crate has a `/` in it, or begins with a dot".to_owned(),
    };
    let place = format!("in the workspace {}", metadata.workspace_root.display());
    Failure::NoCrate { name: name.to_owned(), place, near }
}

/// What `cargo metadata` tells, as far as it is needed.
#[derive(Debug, Deserialize)]
struct Metadata {
    packages: Vec<PackageData>,
    workspace_members: Vec<String>,
    workspace_root: PathBuf,
    target_directory: PathBuf,
}

#[derive(Debug, Deserialize)]
struct PackageData {
    id: String,
    name: String,
    version: String,
    source: Option<String>,
    manifest_path: PathBuf,
    targets: Vec<Target>,
    dependencies: Vec<Dependency>,
}

#[derive(Debug, Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
    src_path: PathBuf,
}

#[derive(Debug, Deserialize)]
struct Dependency {
    path: Option<PathBuf>,
}

impl Metadata {
    fn read(manifest: Option<&Path>, name: &str) -> Result<Metadata, Failure> {
        if let Some(manifest) = manifest
            && !manifest.is_file()
        {
            let place = format!("since {} is missing", manifest.display());
            return Err(Failure::NoCrate { name: name.to_owned(), place, near: String::new() });
        }
        let mut command = cargo();
        command.args(["metadata", "--format-version", "1"]);
        if let Some(manifest) = manifest {
            command.arg("--manifest-path").arg(manifest);
        }
        let output = command
            .stdin(Stdio::null())
            .output()
            .map_err(|source| Failure::Io { action: "run cargo", source })?;
        let place = || manifest.map_or("this directory".to_owned(), |m| m.display().to_string());
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            let line = said.lines().find(|line| line.starts_with("error")).unwrap_or_default();
            let reason = line.trim_start_matches("error: ").to_owned();
            return Err(Failure::Metadata { place: place(), reason });
        }
        serde_json::from_slice(&output.stdout)
            .map_err(|error| Failure::Metadata { place: place(), reason: error.to_string() })
    }

    fn members(&self) -> impl Iterator<Item = &PackageData> {
        self.packages.iter().filter(|package| self.workspace_members.contains(&package.id))
    }

    /// The sources of `package`, and of what it depends on by path.
    fn sources(&self, package: &PackageData) -> Sources {
        let mut sources = Sources { crates: vec![package.directory()], directories: Vec::new() };
        let mut next = 0;
        while let Some(directory) = sources.crates.get(next).cloned() {
            next += 1;
            let found = self.packages.iter().find(|package| package.directory() == directory);
            let Some(package) = found else { continue };
            sources.directories.extend(package.sources());
            for path in package.dependencies.iter().filter_map(|below| below.path.clone()) {
                if !sources.crates.contains(&path) {
                    sources.crates.push(path);
                }
            }
        }
        sources.crates.retain(|directory| directory.is_dir());
        sources
    }
}

impl Sources {
    /// Whether `path` is one of them. A crate's own directory has more in it than sources: the
    /// target directory, or what the application writes.
    pub(crate) fn contain(&self, path: &Path) -> bool {
        if self.directories.iter().any(|directory| path.starts_with(directory)) {
            return true;
        }
        let is_source = path.file_name().is_some_and(|name| name == "Cargo.toml")
            || path.extension().is_some_and(|extension| extension == "rs");
        is_source && path.parent().is_some_and(|parent| self.crates.iter().any(|c| c == parent))
    }
}

impl PackageData {
    /// The directories of its library and its build script, but not its own.
    fn sources(&self) -> Vec<PathBuf> {
        let built = |target: &&Target| {
            target
                .kind
                .iter()
                .any(|kind| kind.ends_with("lib") || kind == "custom-build" || kind == "proc-macro")
        };
        let roots = self.targets.iter().filter(built).filter_map(|t| t.src_path.parent());
        let below = roots.filter(|directory| *directory != self.directory() && directory.is_dir());
        below.map(Path::to_path_buf).collect()
    }

    fn directory(&self) -> PathBuf {
        self.manifest_path.parent().map(Path::to_path_buf).unwrap_or_default()
    }
}

/// The cargo that runs us, or the one in the path.
pub(crate) fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_code_and_manifests() {
        let sources = Sources {
            crates: vec!["/shop".into(), "/shop/below".into()],
            directories: vec!["/shop/src".into()],
        };
        for path in
            ["/shop/src", "/shop/src/page.html", "/shop/src/a/b.rs", "/shop/below/Cargo.toml"]
        {
            assert!(sources.contain(Path::new(path)), "{path}");
        }
        for path in ["/shop/orders.sqlite", "/shop/Cargo.lock", "/shop/target/x.rs", "/shop/srcs"] {
            assert!(!sources.contain(Path::new(path)), "{path}");
        }
        assert!(sources.contain(Path::new("/shop/build.rs")));
    }
}
