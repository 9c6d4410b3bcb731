//! One daemon a host: a lock on a file, which the kernel releases when its holder dies, however it dies.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

/// Held for as long as this lives. The file stays: to remove it would let two hold locks on two files of one name.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// Why there is no lock.
#[derive(Debug, thiserror::Error)]
pub enum NoLock {
    /// Another process has it.
    #[error("another instance runs{}", .pid.map(|pid| format!(" (PID {pid})")).unwrap_or_default())]
    Held {
        /// That process, where the file tells: in its own PID namespace.
        pid: Option<u32>,
    },
    /// The file cannot be made or locked.
    #[error("cannot lock {path}")]
    Io {
        /// The file.
        path: String,
        /// What the system said.
        source: io::Error,
    },
}

impl Lock {
    /// Takes the lock of `folder`, without waiting. Children do not inherit it.
    ///
    /// # Errors
    /// [`NoLock`] where another process holds it, or the folder is missing or not writable.
    pub fn take(folder: &Path) -> Result<Self, NoLock> {
        let path = folder.join(FILE);
        let at = |source| NoLock::Io { path: path.display().to_string(), source };
        let mut file: File = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o644)
            .open(&path)
            .map_err(at)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(NoLock::Held { pid: holder(&file) }),
            Err(TryLockError::Error(error)) => return Err(at(error)),
        }
        // The lock holds without the number, which is for the message alone: a full disk must not stop the daemon.
        if let Err(error) = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id())) {
            tracing::debug!(%error, "the lock's file has no PID");
        }
        Ok(Self { _file: file })
    }
}

fn holder(file: &File) -> Option<u32> {
    let mut text = String::new();
    file.take(LONGEST).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

const FILE: &str = "lock";
/// More digits than any PID has.
const LONGEST: u64 = 32;

#[cfg(test)]
mod tests {
    use std::{fs, process::Command};

    use super::{FILE, Lock, NoLock};

    #[test]
    fn a_second_one_is_told_who_holds_it() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join(FILE), "4194304999 of a former holder\n").expect("written");
        let first = Lock::take(folder.path()).expect("free");
        let refused = Lock::take(folder.path()).expect_err("held");
        assert!(matches!(refused, NoLock::Held { pid: Some(pid) } if pid == std::process::id()), "{refused:?}");
        assert_eq!(refused.to_string(), format!("another instance runs (PID {})", std::process::id()));
        drop(first);
        Lock::take(folder.path()).expect("free again");
    }

    #[test]
    fn a_garbled_file_names_nobody() {
        let folder = tempfile::tempdir().expect("a folder");
        let _held = Lock::take(folder.path()).expect("free");
        fs::write(folder.path().join(FILE), [0xff; 5000]).expect("written");
        let refused = Lock::take(folder.path()).expect_err("held");
        assert!(matches!(refused, NoLock::Held { pid: None }), "{refused:?}");
    }

    #[test]
    fn a_child_does_not_inherit_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let held = Lock::take(folder.path()).expect("free");
        let mut child = Command::new("sleep").arg("60").spawn().expect("sleep");
        drop(held);
        // A child of another test has it as well until it runs its own program; this one would have it for a minute.
        let mut again = Lock::take(folder.path());
        for _ in 0..500 {
            if again.is_ok() {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
            again = Lock::take(folder.path());
        }
        child.kill().and_then(|()| child.wait()).expect("ended");
        again.expect("the child holds nothing");
    }

    #[test]
    fn a_missing_folder_is_an_error_that_names_the_file() {
        let refused = Lock::take("/nonexistent/folder".as_ref()).expect_err("no folder");
        assert_eq!(refused.to_string(), "cannot lock /nonexistent/folder/lock");
    }
}
