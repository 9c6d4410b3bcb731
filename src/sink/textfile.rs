//! The round for `node_exporter`'s textfile collector, which reads every `*.prom` of its folder.

use std::{io, path::Path};

use super::replace::replace;
use crate::{model::round::Round, render::openmetrics};

/// Replaces the file at `path` by the round's figures. Waits for the disk: for the disk's thread.
///
/// # Errors
/// Where the folder is missing or not writable, or the disk is full; the old file then stays.
pub fn write(path: &Path, round: &Round) -> io::Result<()> {
    replace(path, openmetrics::render(round).as_bytes())
}
