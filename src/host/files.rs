//! Reading small files under a root, each with a bound.

use std::{
    fs::{self, File},
    io::{self, Read},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use rustix::fs::OFlags;

/// The file system as the facts see it: `/`, or a test's folder.
#[derive(Clone, Copy, Debug)]
pub(super) struct Root<'a>(&'a Path);

impl<'a> Root<'a> {
    /// The root at `path`.
    pub(super) const fn new(path: &'a Path) -> Self {
        Self(path)
    }

    /// Where `path`, absolute or not, lies under this root.
    pub(super) fn place(self, path: &str) -> PathBuf {
        self.0.join(path.trim_start_matches('/'))
    }

    /// Whether anything lies at `path`.
    pub(super) fn has(self, path: &str) -> bool {
        self.place(path).symlink_metadata().is_ok()
    }

    /// At most `bound` bytes of the file at `path`. Only regular files (those of /proc and /sys are): others need not
    /// have an end.
    ///
    /// # Errors
    /// What the file system says; `InvalidInput` where it is not a regular file.
    pub(super) fn bytes(self, path: &str, bound: u64) -> io::Result<Vec<u8>> {
        let file = File::options().read(true).custom_flags(QUIETLY).open(self.place(path))?;
        if !file.metadata()?.is_file() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        // Room for all of most files: the kernel puts those of /proc together anew for each read(2).
        let mut bytes = Vec::with_capacity(ROOM);
        file.take(bound).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// The same as text; whatever is not UTF-8 is replaced. `None` where it cannot be read.
    pub(super) fn text(self, path: &str) -> Option<String> {
        self.bytes(path, SMALL).ok().map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The names in the folder at `path`, sorted, at most `MOST_NAMES`; empty where it cannot be read.
    pub(super) fn names(self, path: &str) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.place(path)) else { return Vec::new() };
        let mut names: Vec<String> =
            entries.take(MOST_NAMES).filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
        names.sort();
        names
    }
}

/// More than any of these files has on a sane host.
pub(super) const SMALL: u64 = 64 * 1024;
const ROOM: usize = 4096;
/// A pipe without a writer is not waited for, and no terminal becomes this process's.
const QUIETLY: i32 = OFlags::NONBLOCK.union(OFlags::NOCTTY).bits().cast_signed();
const MOST_NAMES: usize = 512;
