//! `last.json`: the last round, for `vpce-probe status` and for programs.

use std::{io, path::Path};

use super::replace::replace;
use crate::{model::round::Round, render::json};

/// Replaces the file at `path` by the round's report. Waits for the disk: for the disk's thread.
///
/// # Errors
/// Where the folder is missing or not writable, or the disk is full; the old file then stays.
pub fn write(path: &Path, round: &Round) -> io::Result<()> {
    replace(path, json::compact(round).as_bytes())
}
