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
    pub(crate) sources: Vec<PathBuf>,
    /// Where its workspace begins.
    pub(crate) workspace: PathBuf,
    /// Where cargo builds.
    pub(crate) target: PathBuf,
    metadata: Metadata,
}

impl Package {
    /// Finds `name`: a package of the workspace here, or the path to a crate.
    pub(crate) fn find(name: &str) -> Result<Package, Failure> {
        let by_path = name.contains('/') || name.starts_with('.');
        let metadata = match by_path {
            true => Metadata::read(Some(&Path::new(name).join("Cargo.toml")), name)?,
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
    fn sources(&self, package: &PackageData) -> Vec<PathBuf> {
        let mut directories = vec![package.directory()];
        let mut next = 0;
        while let Some(directory) = directories.get(next) {
            next += 1;
            let package = self.packages.iter().find(|package| package.directory() == *directory);
            let below = package.into_iter().flat_map(|package| &package.dependencies);
            let new: Vec<_> = below.filter_map(|dependency| dependency.path.clone()).collect();
            for path in new {
                if !directories.contains(&path) {
                    directories.push(path);
                }
            }
        }
        let parts = directories.iter().flat_map(|d| ["src", "Cargo.toml"].map(|part| d.join(part)));
        parts.filter(|part| part.exists()).collect()
    }
}

impl PackageData {
    fn directory(&self) -> PathBuf {
        self.manifest_path.parent().map(Path::to_path_buf).unwrap_or_default()
    }
}

/// The cargo that runs us, or the one in the path.
pub(crate) fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}
