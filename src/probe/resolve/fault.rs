//! What went wrong with one question to one name server, and whose fault that is.

use std::io;

use rustix::io::Errno;

use crate::model::observation::Transport;

/// Why one exchange gave no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The network, a router, the server's host or this host said no. The text says who.
    Unreachable(String),
    /// Something came that is no answer.
    Malformed(String),
    /// Nothing came.
    Mute,
    /// This process has no descriptors, ports or memory left: says nothing about the server.
    Exhausted(String),
}

impl Fault {
    /// Reads the error of a socket that was used for `transport`.
    pub(super) fn of(error: &io::Error, transport: Transport) -> Self {
        let Some(code) = error.raw_os_error() else { return Self::without_number(error) };
        let Some((_, name, meaning)) = ERRORS.iter().find(|(number, ..)| number.raw_os_error() == code) else {
            return Self::Unreachable(error.to_string());
        };
        match meaning {
            Meaning::Limit => Self::Exhausted(format!("{name}: {error}")),
            // A datagram socket has bound its port before it is connected, so no port is wanting: this host has no
            // address of the server's family. For TCP the same number means that the ephemeral ports are used up.
            Meaning::NoAddress => match transport {
                Transport::Udp => Self::Unreachable(format!("this host has no address to ask from ({name})")),
                Transport::Tcp | Transport::HostsFile => Self::Exhausted(format!("{name}: {error}")),
            },
            Meaning::Says(what) => Self::Unreachable(format!("{what} ({name})")),
            Meaning::Silent => Self::Mute,
            Meaning::Cut => Self::Malformed(format!("the TCP connection was cut before the answer ({name})")),
        }
    }

    /// An error that some library made: a time-out, or an end of the stream in the middle of a message.
    fn without_number(error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::TimedOut { Self::Mute } else { Self::Malformed(error.to_string()) }
    }
}

enum Meaning {
    Limit,
    NoAddress,
    Says(&'static str),
    Silent,
    Cut,
}

const FIREWALL: Meaning = Meaning::Says("this host's own firewall or a local policy forbids it");

/// errno(3): the numbers that a datagram or a TCP connection can end with.
const ERRORS: &[(Errno, &str, Meaning)] = &[
    (Errno::MFILE, "EMFILE", Meaning::Limit),
    (Errno::NFILE, "ENFILE", Meaning::Limit),
    (Errno::NOBUFS, "ENOBUFS", Meaning::Limit),
    (Errno::NOMEM, "ENOMEM", Meaning::Limit),
    (Errno::ADDRINUSE, "EADDRINUSE", Meaning::Limit),
    (Errno::ADDRNOTAVAIL, "EADDRNOTAVAIL", Meaning::NoAddress),
    (Errno::CONNREFUSED, "ECONNREFUSED", Meaning::Says("nothing listens on the name server's port")),
    (Errno::NETUNREACH, "ENETUNREACH", Meaning::Says("no route to the name server")),
    (
        Errno::HOSTUNREACH,
        "EHOSTUNREACH",
        Meaning::Says("a router or the neighbour says that the name server is unreachable"),
    ),
    (Errno::HOSTDOWN, "EHOSTDOWN", Meaning::Says("the name server's host is down")),
    (Errno::NETDOWN, "ENETDOWN", Meaning::Says("the network interface is down")),
    (Errno::NOPROTOOPT, "ENOPROTOOPT", Meaning::Says("the name server's host does not speak this protocol")),
    (Errno::INVAL, "EINVAL", Meaning::Says("the name server's address cannot be used from here")),
    (Errno::AFNOSUPPORT, "EAFNOSUPPORT", Meaning::Says("this host does not speak the address's IP version")),
    (Errno::PERM, "EPERM", FIREWALL),
    (Errno::ACCESS, "EACCES", FIREWALL),
    (Errno::TIMEDOUT, "ETIMEDOUT", Meaning::Silent),
    (Errno::CONNRESET, "ECONNRESET", Meaning::Cut),
    (Errno::CONNABORTED, "ECONNABORTED", Meaning::Cut),
    (Errno::PIPE, "EPIPE", Meaning::Cut),
];

#[cfg(test)]
mod tests {
    use std::io;

    use rustix::io::Errno;

    use super::{Fault, Transport};

    #[test]
    fn our_limits_are_never_the_name_servers() {
        for code in [
            Errno::MFILE.raw_os_error(),
            Errno::NFILE.raw_os_error(),
            Errno::NOBUFS.raw_os_error(),
            Errno::NOMEM.raw_os_error(),
            Errno::ADDRINUSE.raw_os_error(),
        ] {
            let fault = Fault::of(&io::Error::from_raw_os_error(code), Transport::Udp);
            assert!(matches!(fault, Fault::Exhausted(_)), "{fault:?}");
        }
        let no_address = io::Error::from_raw_os_error(Errno::ADDRNOTAVAIL.raw_os_error());
        assert!(matches!(Fault::of(&no_address, Transport::Tcp), Fault::Exhausted(_)));
        assert!(matches!(Fault::of(&no_address, Transport::Udp), Fault::Unreachable(_)));
    }

    #[test]
    fn a_refusal_names_its_author() {
        let check = |code: i32, expected: &str| {
            let Fault::Unreachable(text) = Fault::of(&io::Error::from_raw_os_error(code), Transport::Udp) else {
                panic!("{code} is a refusal")
            };
            assert!(text.contains(expected), "{text}");
        };
        check(Errno::PERM.raw_os_error(), "own firewall");
        check(Errno::ACCESS.raw_os_error(), "EACCES");
        check(Errno::CONNREFUSED.raw_os_error(), "nothing listens");
        check(Errno::NETUNREACH.raw_os_error(), "no route");
        check(Errno::HOSTUNREACH.raw_os_error(), "unreachable");
    }

    #[test]
    fn a_cut_connection_is_malformed_and_a_silent_one_mute() {
        let cut = io::Error::from_raw_os_error(Errno::CONNRESET.raw_os_error());
        assert!(matches!(Fault::of(&cut, Transport::Tcp), Fault::Malformed(_)));
        assert_eq!(Fault::of(&io::Error::from(io::ErrorKind::TimedOut), Transport::Udp), Fault::Mute);
    }
}
