//! `/etc/hosts` (hosts(5)): names that this host answers by itself, before any name server is asked.

use std::{
    fs::File,
    io::{self, Read},
    net::IpAddr,
    path::{Path, PathBuf},
};

use crate::model::plan::Family;

/// The entries of a hosts file, in its order.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct HostsFile {
    path: Option<PathBuf>,
    entries: Vec<Entry>,
}

/// One address of a name, and the line where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    name: String,
    address: IpAddr,
    line: usize,
}

/// What the file says of one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostsAnswer {
    /// All addresses, in the file's order; at least one.
    pub addresses: Vec<IpAddr>,
    /// Where they stand, for a person, e.g. `/etc/hosts line 7`.
    pub place: String,
}

impl HostsFile {
    /// Reads the file at `path`, at most its first megabyte. A missing file is an empty one.
    ///
    /// # Errors
    /// What the operating system says when the file is there and cannot be read.
    pub fn load(path: &Path) -> io::Result<Self> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(error),
        };
        let mut bytes = Vec::new();
        file.take(LARGEST).read_to_end(&mut bytes)?;
        if u64::try_from(bytes.len()).is_ok_and(|length| length == LARGEST) {
            // The last line may be cut in the middle of an address: better no entry than a wrong one.
            let whole = bytes.iter().rposition(|&byte| byte == b'\n').unwrap_or(0);
            bytes.truncate(whole);
        }
        Ok(Self { path: Some(path.to_owned()), ..Self::parse(&bytes) })
    }

    /// Reads the text of a hosts file; whatever is not an entry is passed over, as the C library does.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Self {
        let entries = bytes
            .split(|&byte| byte == b'\n')
            .enumerate()
            .flat_map(|(index, line)| entries(line, index.saturating_add(1)))
            .collect();
        Self { path: None, entries }
    }

    /// What the file says of `host` in the families asked for. `None`: nothing, so the name servers decide.
    #[must_use]
    pub fn find(&self, host: &str, family: Family) -> Option<HostsAnswer> {
        let wanted = canonical(host);
        let found: Vec<&Entry> =
            self.entries.iter().filter(|entry| entry.name == wanted && includes(family, entry.address)).collect();
        let first = found.first()?;
        let path = self.path.as_deref().unwrap_or(Path::new("the hosts file"));
        Some(HostsAnswer {
            addresses: found.iter().map(|entry| entry.address).collect(),
            place: format!("{} line {}", path.display(), first.line),
        })
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

fn entries(line: &[u8], number: usize) -> Vec<Entry> {
    let Ok(text) = str::from_utf8(line) else { return Vec::new() };
    let text = text.split('#').next().unwrap_or_default();
    let mut words = text.split_ascii_whitespace();
    let Some(address) = words.next().and_then(address) else { return Vec::new() };
    words.map(|name| Entry { name: canonical(name), address, line: number }).collect()
}

/// An address as the file spells it; a zone (`fe80::1%eth0`) is left out.
fn address(word: &str) -> Option<IpAddr> {
    word.split('%').next()?.parse().ok()
}

fn canonical(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

/// More than any hosts file made by people, and the bound of what is read.
const LARGEST: u64 = 1024 * 1024;

#[cfg(test)]
mod tests {
    use std::{io::Write, net::IpAddr};

    use proptest::prelude::{any, proptest};

    use super::{Family, HostsFile, LARGEST};

    const FILE: &[u8] = b"# comment\n127.0.0.1\tlocalhost\n\n10.0.0.9 ssm.eu-west-1.amazonaws.com ssm # pinned\r\n\
        10.0.1.9   SSM.eu-west-1.amazonaws.com.\n2001:db8::9 ssm.eu-west-1.amazonaws.com\nfe80::1%eth0 router\n\
        300.1.1.1 wrong\nnonsense\n10.0.0.7\n\xff\xfe 10.0.0.8 binary\n";

    fn check(host: &str, family: Family, expected: &[&str]) {
        let found = HostsFile::parse(FILE).find(host, family).map(|answer| answer.addresses).unwrap_or_default();
        let expected: Vec<IpAddr> = expected.iter().map(|text| text.parse().expect("an address")).collect();
        assert_eq!(found, expected, "{host}");
    }

    #[test]
    fn names_are_found_in_any_spelling() {
        check("ssm.eu-west-1.amazonaws.com", Family::Any, &["10.0.0.9", "10.0.1.9", "2001:db8::9"]);
        check("Ssm.EU-west-1.amazonaws.com.", Family::V4, &["10.0.0.9", "10.0.1.9"]);
        check("ssm.eu-west-1.amazonaws.com", Family::V6, &["2001:db8::9"]);
        check("ssm", Family::Any, &["10.0.0.9"]);
        check("ssm", Family::V6, &[]);
        check("router", Family::Any, &["fe80::1"]);
        for absent in ["wrong", "nonsense", "binary", "pinned", "", "#"] {
            check(absent, Family::Any, &[]);
        }
    }

    #[test]
    fn the_place_names_the_line() {
        let answer = HostsFile::parse(FILE).find("ssm", Family::Any).expect("an entry");
        assert_eq!(answer.place, "the hosts file line 4");
    }

    #[test]
    fn a_missing_file_is_empty_and_a_huge_one_is_cut_at_a_line() {
        let folder = tempfile::tempdir().expect("a folder");
        assert_eq!(HostsFile::load(&folder.path().join("none")).expect("empty"), HostsFile::default());
        let path = folder.path().join("hosts");
        let mut file = std::fs::File::create(&path).expect("a file");
        let filler = "10.0.0.1 x\n".repeat(usize::try_from(LARGEST).expect("fits") / 11);
        file.write_all(filler.as_bytes()).expect("written");
        file.write_all(b"10.0.0.222 x\n").expect("written");
        let found = HostsFile::load(&path).expect("read").find("x", Family::Any).expect("entries");
        assert!(found.addresses.iter().all(|address| address.to_string() == "10.0.0.1"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes: Vec<u8>, host in any::<String>()) {
            let _ = HostsFile::parse(&bytes).find(&host, Family::Any);
        }
    }
}
