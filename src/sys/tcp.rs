//! What the kernel knows about one TCP connection (tcp(7), `TCP_INFO`).

use std::{
    io,
    os::fd::{AsFd, AsRawFd},
    time::Duration,
};

/// The fields of `struct tcp_info` (linux/tcp.h) that the probe reads. Fields that came after Linux 4.6 are `None` where
/// the kernel did not return them: unknown is not zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct TcpInfo {
    /// Whether both directions are still open, or only the peer's has ended: more may be sent.
    pub may_send: bool,
    /// Retransmission timeouts since the last acknowledgement of new data.
    pub retransmits: u8,
    /// Whether the peers agreed on timestamps (RFC 7323): twelve bytes of each segment.
    pub timestamps: bool,
    /// Whether the peers agreed on selective acknowledgements (RFC 2018).
    pub sack: bool,
    /// The largest payload that one segment may carry now, in bytes.
    pub snd_mss: u32,
    /// The payload of the largest recent segment received, in bytes; 536 before any came.
    pub rcv_mss: u32,
    /// The segment size that this side announced, less the options: what the peer may send in one segment.
    pub advmss: u32,
    /// Segments that are under way.
    pub unacked: u32,
    /// Segments that the peer has, though not all before them.
    pub sacked: u32,
    /// What the kernel takes the path's MTU for: the route's, or what ICMP said.
    pub pmtu: u32,
    /// The smoothed round trip.
    pub rtt: Duration,
    /// Bytes of ours that the peer acknowledged in order, the SYN included (since Linux 4.1).
    pub bytes_acked: Option<u64>,
    /// Bytes that came in order (since Linux 4.1).
    pub bytes_received: Option<u64>,
    /// Bytes that wait for room in the window (since Linux 4.6).
    pub notsent_bytes: Option<u32>,
}

/// What the kernel says about the connection of `socket`.
///
/// # Errors
/// What getsockopt(2) says; [`io::ErrorKind::Unsupported`] when the kernel (or an emulator) returns less than the fields
/// that every Linux since 2.6 has.
#[expect(unsafe_code, reason = "neither std, socket2 nor rustix reads TCP_INFO")]
pub fn tcp_info(socket: &impl AsFd) -> io::Result<TcpInfo> {
    let mut bytes = [0_u8; ROOM];
    let mut length = libc::socklen_t::try_from(bytes.len()).map_err(io::Error::other)?;
    // SAFETY: the descriptor is borrowed, so open; the kernel writes at most `length` bytes into `bytes`, which is that
    // long and has no invalid contents, and says in `length` how many it wrote.
    let result = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            bytes.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    let returned = usize::try_from(length).ok().and_then(|length| bytes.get(..length)).unwrap_or_default();
    read(returned).ok_or_else(|| io::Error::new(io::ErrorKind::Unsupported, "the kernel's TCP_INFO is too short"))
}

/// Reads what the kernel returned. The layout only ever grows at its end.
fn read(bytes: &[u8]) -> Option<TcpInfo> {
    let byte = |offset: usize| bytes.get(offset).copied();
    let word = |offset: usize| Some(u32::from_ne_bytes(*bytes.get(offset..)?.first_chunk()?));
    let long = |offset: usize| Some(u64::from_ne_bytes(*bytes.get(offset..)?.first_chunk()?));
    let options = byte(5)?;
    Some(TcpInfo {
        may_send: matches!(byte(0)?, ESTABLISHED | CLOSE_WAIT),
        retransmits: byte(2)?,
        timestamps: options & TIMESTAMPS != 0,
        sack: options & SACK != 0,
        snd_mss: word(16)?,
        rcv_mss: word(20)?,
        unacked: word(24)?,
        sacked: word(28)?,
        pmtu: word(60)?,
        rtt: Duration::from_micros(word(68)?.into()),
        advmss: word(84)?,
        bytes_acked: long(120),
        bytes_received: long(128),
        notsent_bytes: word(144),
    })
}

/// More than any kernel's `struct tcp_info` so far (Linux 6.18: 280 bytes).
const ROOM: usize = 512;
/// `linux/tcp.h`, `TCPI_OPT_TIMESTAMPS` and `TCPI_OPT_SACK`.
const TIMESTAMPS: u8 = 1;
const SACK: u8 = 2;
/// `net/tcp_states.h`.
const ESTABLISHED: u8 = 1;
const CLOSE_WAIT: u8 = 8;

#[cfg(test)]
mod tests {
    use std::{
        io::{Read as _, Write as _},
        mem::offset_of,
        net::TcpListener,
    };

    use socket2::{Domain, Socket, Type};

    use super::{read, tcp_info};

    #[test]
    fn the_offsets_are_the_c_librarys() {
        for (ours, theirs) in [
            (0, offset_of!(libc::tcp_info, tcpi_state)),
            (2, offset_of!(libc::tcp_info, tcpi_retransmits)),
            (5, offset_of!(libc::tcp_info, tcpi_options)),
            (16, offset_of!(libc::tcp_info, tcpi_snd_mss)),
            (20, offset_of!(libc::tcp_info, tcpi_rcv_mss)),
            (24, offset_of!(libc::tcp_info, tcpi_unacked)),
            (28, offset_of!(libc::tcp_info, tcpi_sacked)),
            (60, offset_of!(libc::tcp_info, tcpi_pmtu)),
            (68, offset_of!(libc::tcp_info, tcpi_rtt)),
            (84, offset_of!(libc::tcp_info, tcpi_advmss)),
            (120, offset_of!(libc::tcp_info, tcpi_bytes_acked)),
            (128, offset_of!(libc::tcp_info, tcpi_bytes_received)),
            (144, offset_of!(libc::tcp_info, tcpi_notsent_bytes)),
        ] {
            assert_eq!(ours, theirs);
        }
    }

    #[test]
    fn what_an_older_kernel_does_not_return_is_unknown() {
        let all = [1; 280];
        assert!(read(&all).is_some_and(|info| info.notsent_bytes.is_some()));
        let old = read(all.get(..136).unwrap_or_default()).expect("enough");
        assert!(old.bytes_received.is_some() && old.notsent_bytes.is_none());
        let older = read(all.get(..104).unwrap_or_default()).expect("enough");
        assert_eq!((older.bytes_acked, older.bytes_received), (None, None));
        for short in 0..88 {
            assert_eq!(read(all.get(..short).unwrap_or_default()), None, "{short} bytes");
        }
    }

    #[test]
    fn it_counts_what_loopback_carries() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let mut near = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        near.connect(&listener.local_addr().expect("an address").into()).expect("connected");
        let (mut far, _) = listener.accept().expect("accepted");
        let before = tcp_info(&near).expect("an answer");
        assert!(before.may_send && before.snd_mss > 536);
        near.write_all(&[0; 3000]).expect("sent");
        let mut heard = [0; 3000];
        far.read_exact(&mut heard).expect("received");
        far.write_all(&[0; 2000]).expect("sent");
        near.read_exact(heard.get_mut(..2000).expect("room")).expect("received");
        let after = tcp_info(&near).expect("an answer");
        let acked = |info: super::TcpInfo| info.bytes_acked.expect("known to this kernel");
        assert_eq!(acked(after) - acked(before), 3000);
        assert_eq!(after.bytes_received, Some(2000));
        drop(far);
        near.read_exact(heard.get_mut(..1).expect("room")).expect_err("the end");
        assert!(tcp_info(&near).expect("an answer").may_send, "only the peer's side has ended");
    }

    #[test]
    fn another_kind_of_socket_is_refused() {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port");
        assert!(tcp_info(&socket).is_err());
    }
}
