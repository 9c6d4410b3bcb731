//! Replaces a file so that whoever reads it sees the old one or the new one, whole.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions, Permissions},
    io::{self, ErrorKind, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

/// Writes `bytes` to a new file beside `path` and renames it. What an earlier try left behind is removed; a symbolic link
/// that stands at the new file's name is removed, not followed.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = beside(path)?;
    let at = |error: io::Error| io::Error::new(error.kind(), format!("cannot write {}: {error}", path.display()));
    remove(&new).map_err(at)?;
    let written = fill(&new, bytes).and_then(|()| fs::rename(&new, path));
    written.map_err(|error| {
        // Best effort: the first error is the one to tell, and the next try removes what is left.
        let _ = remove(&new);
        at(error)
    })
}

fn fill(new: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file: File = OpenOptions::new().write(true).create_new(true).mode(READABLE).open(new)?;
    // The umask of a service is often stricter, and the readers are other users.
    file.set_permissions(Permissions::from_mode(READABLE))?;
    file.write_all(bytes)?;
    // Else a power cut after the rename could leave an empty file under the right name.
    file.sync_data()
}

/// A hidden name that no reader of `*.json` or `*.prom` takes for its own.
fn beside(path: &Path) -> io::Result<PathBuf> {
    let Some(name) = path.file_name() else {
        return Err(io::Error::new(ErrorKind::InvalidInput, format!("{} names no file", path.display())));
    };
    let mut hidden = OsString::from(".");
    hidden.push(name);
    hidden.push(".new");
    Ok(path.with_file_name(hidden))
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

const READABLE: u32 = 0o644;

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::fs::{PermissionsExt, symlink},
        path::Path,
        sync::atomic::{AtomicBool, Ordering},
        thread,
    };

    use super::replace;

    #[test]
    fn a_file_is_replaced_whole_and_readable_by_all() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("x.prom");
        replace(&path, b"one").expect("written");
        replace(&path, b"two").expect("written");
        assert_eq!(fs::read(&path).expect("there"), b"two");
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o644);
        assert_eq!(names(folder.path()), ["x.prom"]);
    }

    #[test]
    fn leftovers_and_links_are_removed_not_followed() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, precious) = (folder.path().join("last.json"), folder.path().join("precious"));
        fs::write(&precious, "kept").expect("written");
        symlink(&precious, folder.path().join(".last.json.new")).expect("linked");
        replace(&path, b"new").expect("written");
        assert_eq!(fs::read(&precious).expect("there"), b"kept");
        fs::write(folder.path().join(".last.json.new"), "half of a").expect("a leftover");
        replace(&path, b"newer").expect("written");
        assert_eq!(fs::read(&path).expect("there"), b"newer");
        assert_eq!(names(folder.path()), ["last.json", "precious"]);
    }

    #[test]
    fn a_failure_leaves_the_old_file_and_no_other() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("taken");
        fs::create_dir(&path).expect("a folder in the file's place");
        let error = replace(&path, b"new").expect_err("a folder cannot be replaced").to_string();
        assert!(error.starts_with("cannot write ") && error.contains("taken"), "{error}");
        assert_eq!(names(folder.path()), ["taken"]);
        let error = replace(&folder.path().join("no/such"), b"new").expect_err("no folder").to_string();
        assert!(error.contains("no/such"), "{error}");
        assert!(replace(Path::new("/"), b"new").is_err());
    }

    #[test]
    fn no_reader_sees_half_a_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("last.json");
        let contents = |n: usize| vec![b'a' + u8::try_from(n % 26).expect("below 26"); 100_000 + n];
        replace(&path, &contents(0)).expect("written");
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let mut reads = 0;
                while !done.load(Ordering::Relaxed) {
                    let seen = fs::read(&path).expect("always there");
                    assert!(seen.len() >= 100_000, "{} bytes", seen.len());
                    assert_eq!(seen, contents(seen.len() - 100_000));
                    reads += 1;
                }
                reads
            });
            for n in 1..200 {
                replace(&path, &contents(n)).expect("written");
            }
            done.store(true, Ordering::Relaxed);
            assert!(reader.join().expect("every read was whole") > 0);
        });
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(folder)
            .expect("a folder")
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }
}
