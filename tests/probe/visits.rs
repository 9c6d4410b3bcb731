//! A server on loopback that keeps a record of every connection: its hello, its requests, its end.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
    time::Duration,
};

use rustls::ServerConfig;
use socket2::SockRef;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    time::sleep,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

/// How a connection is treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// A session; each GET gets this answer, other requests none.
    Answers(&'static str),
    /// The same, but any other request is answered by a reset as soon as all of it came.
    Refuses(&'static str),
    /// Not a word after the hello.
    Silent,
    /// A reset after the hello.
    Resets,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) head: String,
    /// Whether as many bytes followed as `Content-Length` announced.
    pub(crate) complete: bool,
}

/// How a connection ended, as the server saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// `close_notify`, then FIN.
    Closed,
    /// FIN alone.
    Cut,
    /// RST.
    Reset,
    /// The server itself reset it.
    Refused,
}

/// One connection.
#[derive(Clone, Debug)]
pub(crate) struct Visit {
    /// Bytes of the first record.
    pub(crate) hello: usize,
    pub(crate) requests: Vec<Request>,
    pub(crate) end: End,
}

/// The server, from the test's side.
pub(crate) struct Server {
    pub(crate) port: u16,
    listener: Arc<TcpListener>,
    /// In the order in which they were accepted.
    arrivals: UnboundedReceiver<SocketAddr>,
    endings: UnboundedReceiver<(usize, Visit)>,
    accepted: usize,
}

impl Server {
    /// Serves until the test ends; `manner` is asked with each connection's number and the bytes of its hello.
    pub(crate) async fn start(config: ServerConfig, manner: impl Fn(usize, usize) -> Manner + Send + 'static) -> Self {
        let listener = Arc::new(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port"));
        let port = listener.local_addr().expect("its address").port();
        let (arrive, arrivals) = unbounded_channel();
        let (end, endings) = unbounded_channel();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        tokio::spawn(accept_all(Arc::clone(&listener), acceptor, Arc::new(Mutex::new(manner)), arrive, end));
        Self { port, listener, arrivals, endings, accepted: 0 }
    }

    /// Connections from here on are offered segments of at most so many bytes.
    pub(crate) fn announce(&self, segment: u32) {
        SockRef::from(&*self.listener).set_tcp_mss(segment).expect("an option of TCP");
    }

    /// Every connection since the last call, in the order in which they were opened, as soon as all have ended. One of
    /// the test's own, accepted last, shows that none is missing.
    pub(crate) async fn visits(&mut self) -> Vec<Visit> {
        let own = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).await.expect("a connection");
        let address = own.local_addr().expect("its address");
        drop(own);
        let first = self.accepted;
        while within(self.arrivals.recv()).await != address {
            self.accepted += 1;
        }
        let count = self.accepted - first;
        self.accepted += 1;
        let mut ended = Vec::with_capacity(count + 1);
        while ended.len() <= count {
            ended.push(within(self.endings.recv()).await);
        }
        ended.sort_unstable_by_key(|(index, _)| *index);
        ended.into_iter().take(count).map(|(_, visit)| visit).collect()
    }
}

async fn within<T>(coming: impl Future<Output = Option<T>>) -> T {
    tokio::select! {
        came = coming => came.expect("the server lives"),
        () = sleep(Duration::from_secs(10)) => panic!("a connection neither came nor ended"),
    }
}

async fn accept_all(
    listener: Arc<TcpListener>,
    acceptor: TlsAcceptor,
    manner: Arc<Mutex<impl Fn(usize, usize) -> Manner + Send + 'static>>,
    arrive: UnboundedSender<SocketAddr>,
    end: UnboundedSender<(usize, Visit)>,
) {
    let mut index = 0;
    while let Ok((stream, peer)) = listener.accept().await {
        let _ = arrive.send(peer);
        stream.set_nodelay(true).expect("an option of TCP");
        let (acceptor, manner, end) = (acceptor.clone(), Arc::clone(&manner), end.clone());
        tokio::spawn(async move {
            // The length stands in the first five bytes, which no client splits.
            let mut start = [0; 5];
            let hello = match stream.peek(&mut start).await {
                Ok(5) => 5 + usize::from(u16::from_be_bytes([start[3], start[4]])),
                Ok(_) | Err(_) => 0,
            };
            let manner = manner.lock().expect("not poisoned")(index, hello);
            let _ = end.send((index, visit(stream, acceptor, hello, manner).await));
        });
        index += 1;
    }
}

async fn visit(mut stream: TcpStream, acceptor: TlsAcceptor, hello: usize, manner: Manner) -> Visit {
    let none = |end| Visit { hello, requests: Vec::new(), end };
    match manner {
        Manner::Silent => none(drain(&mut stream).await),
        Manner::Resets => {
            stream.read_exact(&mut vec![0; hello]).await.expect("the whole hello");
            none(refuse(&stream))
        }
        Manner::Answers(_) | Manner::Refuses(_) => match acceptor.accept(stream).await {
            Ok(session) => serve(session, hello, manner).await,
            Err(error) => none(end_of(&error)),
        },
    }
}

async fn serve(mut session: TlsStream<TcpStream>, hello: usize, manner: Manner) -> Visit {
    let mut visit = Visit { hello, requests: Vec::new(), end: End::Refused };
    let mut bytes = Vec::new();
    loop {
        while let Some(request) = take(&mut bytes) {
            let is_get = request.head.starts_with("GET ");
            visit.requests.push(request);
            match manner {
                Manner::Answers(answer) | Manner::Refuses(answer) if is_get => {
                    session.write_all(answer.as_bytes()).await.expect("a client that waits for it");
                    session.flush().await.expect("flushed");
                }
                Manner::Refuses(_) => {
                    visit.end = refuse(session.get_ref().0);
                    return visit;
                }
                Manner::Answers(_) | Manner::Silent | Manner::Resets => {}
            }
        }
        visit.end = match session.read_buf(&mut bytes).await {
            Ok(1..) => continue,
            Ok(0) => match drain(session.get_mut().0).await {
                End::Cut => End::Closed,
                end @ (End::Closed | End::Reset | End::Refused) => end,
            },
            Err(error) => end_of(&error),
        };
        if !bytes.is_empty() {
            let head = String::from_utf8_lossy(&bytes).into_owned();
            visit.requests.push(Request { head, complete: false });
        }
        return visit;
    }
}

/// Takes one whole request.
fn take(bytes: &mut Vec<u8>) -> Option<Request> {
    let end = 4 + bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(bytes.get(..end)?).into_owned();
    let length = head.split_once("Content-Length: ").and_then(|(_, rest)| rest.split("\r\n").next()?.parse().ok());
    let whole = end + length.unwrap_or(0);
    (bytes.len() >= whole).then(|| {
        bytes.drain(..whole);
        Request { head, complete: true }
    })
}

/// Reads until the end.
async fn drain(stream: &mut TcpStream) -> End {
    let mut sink = [0; 4096];
    loop {
        match stream.read(&mut sink).await {
            Ok(0) => return End::Cut,
            Ok(_) => {}
            Err(error) => return end_of(&error),
        }
    }
}

fn end_of(error: &io::Error) -> End {
    if error.kind() == io::ErrorKind::UnexpectedEof { End::Cut } else { End::Reset }
}

fn refuse(stream: &TcpStream) -> End {
    stream.set_zero_linger().expect("an option of sockets");
    End::Refused
}
