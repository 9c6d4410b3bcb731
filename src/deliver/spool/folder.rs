//! The spool's folder: names, and operations that are on the disk when they return.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, ErrorKind, Read, Write},
    os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// The folder.
#[derive(Clone, Debug)]
pub(super) struct Folder(PathBuf);

/// The two files of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Segment,
    Acks,
}

/// What the folder holds that is ours.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// The first rounds of the segments, ascending.
    pub segments: Vec<u64>,
    /// Those of acknowledgements whose segment is gone.
    pub orphans: Vec<u64>,
}

/// An operation on a path that went wrong.
#[derive(Debug, thiserror::Error)]
#[error("cannot {operation} {}", path.display())]
pub(super) struct Fault {
    pub operation: &'static str,
    pub path: PathBuf,
    #[source]
    pub error: io::Error,
}

impl Fault {
    pub(super) fn is_absence(&self) -> bool {
        self.error.kind() == ErrorKind::NotFound
    }
}

impl Folder {
    pub(super) fn new(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// Makes the folder, and the state directory above it, but nothing above that: a mount that is missing must not be
    /// papered over.
    pub(super) fn prepare(&self) -> Result<(), Fault> {
        if self.0.is_dir() {
            return Ok(());
        }
        let mut builder = DirBuilder::new();
        builder.mode(0o750);
        if let Some(parent) = self.0.parent().filter(|parent| !parent.exists()) {
            builder.create(parent).map_err(|error| Fault { operation: "create", path: parent.to_owned(), error })?;
        }
        match builder.create(&self.0) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(self.fault("create", error)),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    pub(super) fn list(&self) -> Result<Listing, Fault> {
        let mut listing = Listing::default();
        for entry in fs::read_dir(&self.0).map_err(|error| self.fault("read", error))? {
            let entry = entry.map_err(|error| self.fault("read", error))?;
            // Whatever is no plain file under one of our names is another's.
            if !entry.file_type().is_ok_and(|kind| kind.is_file()) {
                continue;
            }
            match entry.file_name().to_str().and_then(read_name) {
                Some((first, Kind::Segment)) => listing.segments.push(first),
                Some((first, Kind::Acks)) => listing.orphans.push(first),
                None => {}
            }
        }
        listing.segments.sort_unstable();
        listing.orphans.retain(|first| listing.segments.binary_search(first).is_err());
        Ok(listing)
    }

    /// Reads the beginning of a file, up to `most` bytes, into `buffer`, and says its whole length.
    pub(super) fn read(&self, first: u64, kind: Kind, most: u64, buffer: &mut Vec<u8>) -> Result<u64, Fault> {
        read_path(&self.path(first, kind), most, buffer)
    }

    /// Opens a file for reading.
    pub(super) fn open(&self, first: u64, kind: Kind) -> Result<File, Fault> {
        let path = self.path(first, kind);
        File::open(&path).map_err(|error| Fault { operation: "open", path, error })
    }

    /// Writes `bytes` from `at` on, and returns when they are on the disk. What could not be written whole is cut off
    /// again.
    pub(super) fn write(&self, first: u64, kind: Kind, at: u64, bytes: &[u8]) -> Result<(), Unwritten> {
        let path = self.path(first, kind);
        let fresh = at == 0;
        // Rounds must not be written into a segment that somebody deleted; acknowledgements stand for themselves.
        let create = match kind {
            Kind::Segment => fresh,
            Kind::Acks => true,
        };
        // A segment of another number under this name would show behind what is written now.
        let opened = OpenOptions::new().write(true).create(create).truncate(fresh).mode(0o640).open(&path);
        let file = match opened {
            Ok(file) => file,
            Err(error) => return Err(Unwritten { fault: Fault { operation: "open", path, error }, restored: true }),
        };
        let written = file.write_all_at(bytes, at).and_then(|()| file.sync_data());
        let written = written.map_err(|error| Fault { operation: "write", path: path.clone(), error });
        written.and_then(|()| if fresh { self.sync() } else { Ok(()) }).map_err(|fault| {
            let restored = if fresh { fs::remove_file(&path) } else { file.set_len(at) };
            Unwritten { fault, restored: restored.is_ok() }
        })
    }

    /// Deletes both files of a segment. What is not there is no fault.
    pub(super) fn remove(&self, first: u64) -> Result<(), Fault> {
        // The segment first: acknowledgements without their segment mean nothing, a segment without them is sent again.
        for kind in [Kind::Segment, Kind::Acks] {
            let path = self.path(first, kind);
            match fs::remove_file(&path) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(Fault { operation: "delete", path, error });
                }
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }

    /// What to say of a segment that could not be read.
    pub(super) fn unread(&self, first: u64, error: io::Error) -> Fault {
        Fault { operation: "read", path: self.path(first, Kind::Segment), error }
    }

    /// Makes the names of files durable.
    pub(super) fn sync(&self) -> Result<(), Fault> {
        File::open(&self.0).and_then(|folder| folder.sync_all()).map_err(|error| self.fault("sync", error))
    }

    /// The ledger's bytes; `None` where there is none.
    pub(super) fn read_ledger(&self, most: u64) -> Result<Option<Vec<u8>>, Fault> {
        let mut bytes = Vec::new();
        match read_path(&self.0.join(LEDGER), most, &mut bytes) {
            Ok(_) => Ok(Some(bytes)),
            Err(fault) if fault.is_absence() => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    /// Replaces the ledger.
    pub(super) fn write_ledger(&self, bytes: &[u8]) -> Result<(), Fault> {
        let (path, fresh) = (self.0.join(LEDGER), self.0.join(FRESH_LEDGER));
        let written = OpenOptions::new().write(true).create(true).truncate(true).mode(0o640).open(&fresh);
        let written = written.and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()));
        if let Err(error) = written.and_then(|()| fs::rename(&fresh, &path)) {
            // Left behind it would only take room; the next attempt begins it anew in any case.
            let _ = fs::remove_file(&fresh);
            return Err(Fault { operation: "replace", path, error });
        }
        self.sync()
    }

    fn path(&self, first: u64, kind: Kind) -> PathBuf {
        let extension = match kind {
            Kind::Segment => "seg",
            Kind::Acks => "ack",
        };
        self.0.join(format!("{first:020}.{extension}"))
    }

    fn fault(&self, operation: &'static str, error: io::Error) -> Fault {
        Fault { operation, path: self.0.clone(), error }
    }
}

/// A write that failed.
#[derive(Debug)]
pub(super) struct Unwritten {
    pub fault: Fault,
    /// Whether the file is again what it was.
    pub restored: bool,
}

fn read_path(path: &Path, most: u64, buffer: &mut Vec<u8>) -> Result<u64, Fault> {
    let fault = |error| Fault { operation: "read", path: path.to_owned(), error };
    let file = File::open(path).map_err(fault)?;
    let length = file.metadata().map_err(fault)?.len();
    buffer.clear();
    buffer.reserve(usize::try_from(length.min(most)).unwrap_or(0));
    file.take(most).read_to_end(buffer).map_err(fault)?;
    Ok(length)
}

fn read_name(name: &str) -> Option<(u64, Kind)> {
    let (digits, extension) = name.split_once('.')?;
    let kind = match extension {
        "seg" => Kind::Segment,
        "ack" => Kind::Acks,
        _ => return None,
    };
    let plain = digits.len() == 20 && digits.bytes().all(|digit| digit.is_ascii_digit());
    let first = plain.then(|| digits.parse().ok()).flatten()?;
    // No spool counts so far: taken at its word, the file would use up all numbers.
    (first < MOST_NUMBER).then_some((first, kind))
}

/// Above the number of any round.
pub(super) const MOST_NUMBER: u64 = 1 << 62;
const LEDGER: &str = "ledger";
const FRESH_LEDGER: &str = "ledger.new";
