//! Trees of files that go away with the test.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gateway_static::{StaticFiles, StaticFilesBuilder};
use tempfile::TempDir;

use crate::exchange::get;

/// When all files of a tree were modified: Sun, 06 Nov 1994 08:49:37 GMT.
pub(crate) const MODIFIED: u64 = 784_111_777;
pub(crate) const MODIFIED_TEXT: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

/// A directory with a root in it, and whatever is beside the root.
pub(crate) struct Tree(TempDir);

impl Tree {
    /// `files` below the root, with their directories; a name that ends in `/` is one.
    pub(crate) fn new(files: &[(&str, &[u8])]) -> Tree {
        let tree = Tree(tempfile::tempdir().expect("a temporary directory"));
        fs::create_dir(tree.root()).expect("a directory can be made");
        for (name, content) in files {
            tree.write(name, content);
        }
        tree
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.0.path().join("root")
    }

    /// A path below the root; `../x` is beside it.
    pub(crate) fn at(&self, name: impl AsRef<Path>) -> PathBuf {
        self.root().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: &[u8]) {
        let path = self.at(name);
        if name.ends_with('/') {
            return fs::create_dir_all(path).expect("a directory can be made");
        }
        fs::create_dir_all(path.parent().expect("it has one")).expect("a directory can be made");
        fs::write(&path, content).expect("a file can be written");
        self.date(name, MODIFIED);
    }

    /// Sets when a file was modified, in seconds since 1970.
    pub(crate) fn date(&self, name: &str, seconds: u64) {
        let file = File::options().append(true).open(self.at(name)).expect("it opens");
        let time: SystemTime = UNIX_EPOCH + Duration::from_secs(seconds);
        file.set_modified(time).expect("a time can be set");
    }

    pub(crate) fn link(&self, name: &str, target: impl AsRef<Path>) {
        std::os::unix::fs::symlink(target, self.at(name)).expect("a link can be made");
    }

    pub(crate) fn builder(&self) -> StaticFilesBuilder {
        StaticFiles::new(self.root())
    }

    pub(crate) fn app(&self) -> StaticFiles {
        self.builder().build().expect("it can be served")
    }
}

/// The tag of a file, once it has stood still long enough to have a strong one.
pub(crate) fn strong_tag(app: &StaticFiles, target: &str) -> String {
    loop {
        let tag = get(target).on(app).field("etag").to_owned();
        if tag.starts_with('"') {
            return tag;
        }
        std::thread::yield_now();
    }
}
