//! STUB: an empty hosts file; replaced by the resolve engineer's file.

use std::{io, net::IpAddr, path::Path};

use crate::model::plan::Family;

/// The entries of a hosts file.
#[derive(Clone, Debug, Default)]
pub struct HostsFile;

impl HostsFile {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// None.
    pub fn load(path: &Path) -> io::Result<Self> {
        let _ = path;
        Ok(Self)
    }
}

/// Whether addresses of this family are asked for.
pub(super) fn includes(family: Family, address: IpAddr) -> bool {
    match family {
        Family::Any => true,
        Family::V4 => address.is_ipv4(),
        Family::V6 => address.is_ipv6(),
    }
}
