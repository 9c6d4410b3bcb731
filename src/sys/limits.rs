//! The limits that this process runs under.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Allows this process as many descriptors as it may allow itself: every question to a dead name server holds sockets
/// until its time is up, and the usual soft limit of 1024 is there for the sake of select(2), which nothing here calls.
pub fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum
        && let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })
    {
        // Running out is told as such, so going on is better than not.
        tracing::debug!(%error, "the limit of descriptors stays as it is");
    }
}

#[cfg(test)]
mod tests {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    use super::raise_descriptor_limit;

    #[test]
    fn the_soft_limit_becomes_the_hard_one() {
        let before = getrlimit(Resource::Nofile);
        let lower = before.current.map(|current| current - 1);
        setrlimit(Resource::Nofile, Rlimit { current: lower, ..before }).expect("a lower limit is always allowed");
        raise_descriptor_limit();
        assert_eq!(getrlimit(Resource::Nofile).current, before.maximum);
    }
}
