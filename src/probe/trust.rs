//! Whom this host trusts: the operating system's authorities and those of the operator.

use std::{
    env,
    fmt::Write as _,
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};
use rustls_native_certs::{CertificateResult, ErrorKind};

use super::ProbeError;

/// The operating system's trust store (or `SSL_CERT_FILE` and `SSL_CERT_DIR`, as OpenSSL reads them), and the
/// certificates of `extra`.
///
/// # Errors
/// [`ProbeError::TrustStore`] when nothing could be read; [`ProbeError::ExtraAuthorities`] when `extra` has no
/// certificate: an operator who names a file means it.
pub(super) fn load(extra: Option<&Path>) -> Result<RootCertStore, ProbeError> {
    gather(rustls_native_certs::load_native_certs(), &looked_at(), extra)
}

/// Where trust comes from, as it stands: whatever of it is written anew looks different.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(super) struct Imprint(Vec<(PathBuf, Option<State>)>);

/// Inode, size, and the moment of the last change.
type State = (u64, u64, i64, i64);

impl Imprint {
    /// Looks at the files and folders that [`load`] reads, not into them: some microseconds.
    pub(super) fn take(extra: Option<&Path>) -> Self {
        let set = ["SSL_CERT_FILE", "SSL_CERT_DIR"].into_iter().filter_map(env::var_os).map(PathBuf::from);
        let usual = USUAL.iter().map(PathBuf::from);
        let paths = set.chain(usual).chain(extra.map(Path::to_owned));
        let state = |path: &PathBuf| {
            let meta = fs::metadata(path).ok()?;
            Some((meta.ino(), meta.size(), meta.mtime(), meta.mtime_nsec()))
        };
        Self(paths.map(|path| (path.clone(), state(&path))).collect())
    }
}

/// Where distributions keep their bundle: Debian's, Red Hat's and Amazon's, SUSE's. A folder of single certificates looks
/// different as soon as one comes or goes.
const USUAL: &[&str] = &[
    "/etc/ssl/certs",
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/var/lib/ca-certificates/ca-bundle.pem",
];

fn gather(native: CertificateResult, looked_at: &str, extra: Option<&Path>) -> Result<RootCertStore, ProbeError> {
    let mut roots = RootCertStore::empty();
    let found = native.certs.len();
    roots.add_parsable_certificates(native.certs);
    if let Some(file) = extra {
        add_file(&mut roots, file)?;
    }
    // A host without a store of its own may live by the operator's file. Where there is one that could not be read, every
    // chain of AWS's would be "untrusted": our fault, not the network's.
    let unreadable = found == 0 && native.errors.iter().any(is_unreadable);
    if roots.is_empty() || unreadable {
        let mut said = format!("{looked_at}: {found} certificates, none of them usable");
        for error in native.errors.iter().take(3) {
            let _ = write!(said, "; {error}");
        }
        return Err(ProbeError::TrustStore(said));
    }
    Ok(roots)
}

fn is_unreadable(error: &rustls_native_certs::Error) -> bool {
    !matches!(&error.kind, ErrorKind::Io { inner, .. } if inner.kind() == io::ErrorKind::NotFound)
}

fn add_file(roots: &mut RootCertStore, file: &Path) -> Result<(), ProbeError> {
    let failed = |said: &dyn std::fmt::Display| ProbeError::ExtraAuthorities(format!("{}: {said}", file.display()));
    let certificates: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(file).map_err(|error| failed(&error))?.take(MOST_EXTRA).collect();
    let (added, _) = roots.add_parsable_certificates(certificates.map_err(|error| failed(&error))?);
    if added == 0 {
        return Err(failed(&"no usable certificate (PEM, BEGIN CERTIFICATE) in it"));
    }
    Ok(())
}

/// What an operator would look at.
fn looked_at() -> String {
    let set: Vec<String> = ["SSL_CERT_FILE", "SSL_CERT_DIR"]
        .into_iter()
        .filter_map(|name| Some(format!("{name}={}", env::var_os(name)?.display())))
        .collect();
    if set.is_empty() {
        "the operating system's trust store (package ca-certificates: /etc/ssl/certs, /etc/pki)".to_owned()
    } else {
        set.join(" ")
    }
}

/// More certificates than any bundle has.
const MOST_EXTRA: usize = 5_000;

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use rustls_native_certs::{CertificateResult, load_certs_from_paths};

    use super::{Imprint, ProbeError, gather};

    fn file(content: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(content.as_bytes()).expect("written");
        file
    }

    fn authority() -> String {
        rcgen::generate_simple_self_signed(["ca.example".to_owned()]).expect("a certificate").cert.pem()
    }

    fn check(native: CertificateResult, extra: Option<&str>, expected: Result<usize, &str>) {
        let extra = extra.map(file);
        let loaded = gather(native, "SSL_CERT_FILE=/none", extra.as_ref().map(tempfile::NamedTempFile::path));
        match (loaded, expected) {
            (Ok(roots), Ok(count)) => assert_eq!(roots.len(), count),
            (Err(ProbeError::TrustStore(said) | ProbeError::ExtraAuthorities(said)), Err(part)) => {
                assert!(said.contains(part), "{said}");
            }
            (loaded, expected) => panic!("{loaded:?} is not {expected:?}"),
        }
    }

    #[test]
    fn an_empty_or_unreadable_store_is_our_error() {
        let missing = || load_certs_from_paths(Some(std::path::Path::new("/nonexistent/ca.pem")), None);
        check(CertificateResult::default(), None, Err("SSL_CERT_FILE=/none: 0 certificates"));
        check(missing(), None, Err("/nonexistent/ca.pem"));
        check(missing(), Some(&authority()), Ok(1));
        // A folder in place of the file: it is there, and cannot be read.
        let folder = || load_certs_from_paths(Some(std::path::Path::new("/proc")), None);
        check(folder(), Some(&authority()), Err("/proc"));
        check(CertificateResult::default(), Some("hello"), Err("no usable certificate"));
        check(CertificateResult::default(), Some(""), Err("no usable certificate"));
        let garbage = file("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
        check(load_certs_from_paths(Some(garbage.path()), None), None, Err("1 certificates, none of them usable"));
    }

    #[test]
    fn a_file_written_anew_looks_different() {
        let own = file(&authority());
        let before = Imprint::take(Some(own.path()));
        assert_eq!(Imprint::take(Some(own.path())), before);
        std::fs::write(own.path(), authority() + &authority()).expect("written");
        assert_ne!(Imprint::take(Some(own.path())), before);
        std::fs::remove_file(own.path()).expect("removed");
        assert_ne!(Imprint::take(Some(own.path())), before);
    }

    #[test]
    fn the_extra_file_is_added() {
        let own = file(&(authority() + &authority()));
        check(load_certs_from_paths(Some(own.path()), None), Some(&authority()), Ok(3));
    }

    #[test]
    fn an_extra_file_that_cannot_be_read_is_named() {
        let own = file(&authority());
        let native = load_certs_from_paths(Some(own.path()), None);
        let loaded = gather(native, "", Some(std::path::Path::new("/nonexistent/extra.pem")));
        assert!(matches!(loaded, Err(ProbeError::ExtraAuthorities(said)) if said.contains("/nonexistent/extra.pem")));
    }
}
