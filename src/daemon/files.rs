//! The files that show the last round: `last.json`, and `node_exporter`'s textfile where one is asked for.

use std::{
    io,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use crate::{
    disk::Disk,
    model::{
        event::{Entry, Event, Field},
        round::Round,
    },
    sink::{journal::say, state, textfile},
};

/// One file, and whether it could be written the last time.
#[derive(Clone, Debug)]
struct File {
    path: PathBuf,
    broken: Arc<AtomicBool>,
    write: fn(&std::path::Path, &Round) -> io::Result<()>,
}

/// The files that are written after each round.
#[derive(Clone, Debug)]
pub(super) struct Files {
    disk: Disk,
    files: Vec<File>,
}

impl Files {
    /// `last.json` at `state`, and the textfile.
    pub(super) fn new(disk: Disk, state: PathBuf, textfile: Option<PathBuf>) -> Self {
        let file = |path, write| File { path, broken: Arc::default(), write };
        let state = file(state, state::write as fn(&std::path::Path, &Round) -> io::Result<()>);
        let textfile = textfile.map(|path| file(path, textfile::write));
        Self { disk, files: [Some(state), textfile].into_iter().flatten().collect() }
    }

    /// Has the round written; a disk that is stalled keeps what stands there.
    pub(super) fn write(&self, round: &Arc<Round>) {
        for file in &self.files {
            let (file, round) = (file.clone(), Arc::clone(round));
            if let Err(stalled) = self.disk.run(move || file.written(&round)) {
                tracing::debug!(%stalled, "the last round is not shown");
            }
        }
    }
}

impl File {
    /// Says once that it fails, and once that it works again.
    fn written(&self, round: &Round) {
        match (self.write)(&self.path, round) {
            Ok(()) if self.broken.swap(false, Ordering::Relaxed) => {
                let path = self.path.display();
                say(&Entry::new(Event::StateWritable, format!("{path} is written again")).with(Field::File, path));
            }
            Ok(()) => {}
            Err(error) if !self.broken.swap(true, Ordering::Relaxed) => {
                let path = self.path.display();
                let entry = Entry::new(Event::StateUnwritable, format!("{error}; what it has is old"));
                say(&entry.with(Field::File, path).with(Field::Error, error));
            }
            Err(_known) => {}
        }
    }
}
