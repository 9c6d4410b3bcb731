//! The sockets that hickory works with: connected ones, so that a refusal arrives, and deaf to strays.

use std::{
    future::Future,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll, ready},
    time::Duration,
};

use hickory_resolver::net::runtime::{
    DnsUdpSocket, RuntimeProvider, TokioHandle, TokioTime, iocompat::AsyncIoTokioAsStd,
};
use rustix::net::{RecvFlags, recv};
use tokio::{
    io::{Interest, ReadBuf},
    net::{TcpSocket, TcpStream, UdpSocket},
};

use super::datagram::{Evidence, answer_to};
use crate::sys::{IpVersion, report_icmp_errors};

/// Makes the sockets of one question, and keeps what they saw.
#[derive(Clone, Default)]
pub(super) struct Sockets {
    pub(super) evidence: Arc<Evidence>,
    handle: TokioHandle,
}

impl RuntimeProvider for Sockets {
    type Handle = TokioHandle;
    type Timer = TokioTime;
    type Udp = ConnectedUdp;
    type Tcp = AsyncIoTokioAsStd<TcpStream>;

    fn create_handle(&self) -> Self::Handle {
        self.handle.clone()
    }

    // No time-out of its own: the question's end drops the future.
    fn connect_tcp(
        &self,
        server: SocketAddr,
        _local: Option<SocketAddr>,
        _timeout: Option<Duration>,
    ) -> Pin<Box<dyn Send + Future<Output = io::Result<Self::Tcp>>>> {
        Box::pin(async move {
            let socket = if server.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
            socket.set_nodelay(true)?;
            socket.connect(server).await.map(AsyncIoTokioAsStd)
        })
    }

    // hickory says "should not be connected"; but a socket that is not hears nothing of a closed port.
    fn bind_udp(
        &self,
        local: SocketAddr,
        server: SocketAddr,
    ) -> Pin<Box<dyn Send + Future<Output = io::Result<Self::Udp>>>> {
        let evidence = Arc::clone(&self.evidence);
        Box::pin(async move {
            let socket = UdpSocket::bind(local).await?;
            let version = if server.is_ipv4() { IpVersion::V4 } else { IpVersion::V6 };
            report_icmp_errors(&socket, version)?;
            socket.connect(server).await?;
            Ok(ConnectedUdp { socket, server, request: OnceLock::new(), evidence })
        })
    }
}

/// A socket for one request to one name server. Strays are noted and dropped, so a good answer after them counts.
pub(super) struct ConnectedUdp {
    socket: UdpSocket,
    server: SocketAddr,
    request: OnceLock<Vec<u8>>,
    evidence: Arc<Evidence>,
}

impl ConnectedUdp {
    /// Copies the answer that `received` is into `buf`; a stray is noted.
    fn sort(&self, received: &[u8], buf: &mut [u8]) -> Option<(usize, SocketAddr)> {
        let request = self.request.get().map_or(&[][..], Vec::as_slice);
        match answer_to(request, received, buf.len()) {
            Ok(answer) => {
                for (to, from) in buf.iter_mut().zip(answer.iter()) {
                    *to = *from;
                }
                Some((answer.len().min(buf.len()), self.server))
            }
            Err(stray) => {
                self.evidence.note(stray);
                None
            }
        }
    }

    /// Waits for the next answer or error. tokio's own `recv` waits for data only: a refusal raises nothing but
    /// `EPOLLERR`, which it does not look at, and would stay unread.
    async fn receive(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let interest = Interest::READABLE | Interest::ERROR;
        let mut space = vec![0; LARGEST];
        loop {
            // Not `ready` and `try_io`: the latter knows no readiness for two interests at once.
            let read = self.socket.async_io(interest, || Ok(recv(&self.socket, &mut space, RecvFlags::DONTWAIT)?.0));
            let length = read.await?;
            if let Some(answer) = self.sort(space.get(..length).unwrap_or_default(), buf) {
                return Ok(answer);
            }
        }
    }
}

impl DnsUdpSocket for ConnectedUdp {
    type Time = TokioTime;

    fn poll_recv_from(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<(usize, SocketAddr)>> {
        let mut space = vec![0; LARGEST];
        loop {
            let mut read = ReadBuf::new(&mut space);
            ready!(self.socket.poll_recv(cx, &mut read))?;
            if let Some(answer) = self.sort(read.filled(), buf) {
                return Poll::Ready(Ok(answer));
            }
        }
    }

    // What `async_trait` makes of `async fn recv_from`, which is what hickory's client calls.
    fn recv_from<'socket, 'buf, 'both>(
        &'socket self,
        buf: &'buf mut [u8],
    ) -> Pin<Box<dyn Send + Future<Output = io::Result<(usize, SocketAddr)>> + 'both>>
    where
        'socket: 'both,
        'buf: 'both,
        Self: 'both,
    {
        Box::pin(self.receive(buf))
    }

    fn poll_send_to(&self, cx: &mut Context<'_>, buf: &[u8], _target: SocketAddr) -> Poll<io::Result<usize>> {
        let sent = ready!(self.socket.poll_send(cx, buf));
        if sent.is_ok() {
            self.request.get_or_init(|| buf.to_vec());
        }
        Poll::Ready(sent)
    }
}

/// The largest datagram that is looked at; a longer one is cut and so unreadable.
const LARGEST: usize = 4096;
