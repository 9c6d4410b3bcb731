//! One question sent once: over UDP, and over TCP to the same name server when the answer was truncated.

use std::net::SocketAddr;

use hickory_resolver::{
    net::{
        NetError,
        tcp::TcpClientStream,
        udp::UdpClientStream,
        xfer::{DnsRequestSender, DnsStreamHandle, FirstAnswer},
    },
    proto::op::{DnsRequest, DnsRequestOptions, DnsResponse, Message, Query, SerialMessage},
};
use tokio::time::Instant;

use super::{datagram::answer_to, fault::Fault, socket::Sockets};
use crate::model::observation::Transport;

/// Sends `query` to `server` once. Ends at the latest a little after `end`; the caller drops it at `end`.
///
/// # Errors
/// Why there is no answer.
pub(super) async fn exchange(
    server: SocketAddr,
    query: Query,
    end: Instant,
    sockets: Sockets,
) -> Result<(Message, Transport), Fault> {
    let mut options = DnsRequestOptions::default();
    // Most stub resolvers send none, and a middlebox that drops EDNS would look like a dead server.
    options.use_edns = false;
    let request = DnsRequest::from_query(query, options);
    let message = over_udp(server, request.clone(), end, sockets.clone()).await?;
    if !message.metadata.truncation {
        return Ok((message, Transport::Udp));
    }
    sockets.evidence.note_truncation();
    let message = over_tcp(server, &request, sockets).await?;
    Ok((message, Transport::Tcp))
}

async fn over_udp(server: SocketAddr, request: DnsRequest, end: Instant, sockets: Sockets) -> Result<Message, Fault> {
    let left = end.saturating_duration_since(Instant::now());
    // One send: hickory's own resends cannot be spread, and its count is of retries.
    let mut stream = UdpClientStream::builder(server, sockets).with_timeout(Some(left)).with_max_retries(1).build();
    let answer = stream.send_message(request).first_answer().await;
    answer.map(DnsResponse::into_message).map_err(|error| fault(&error, Transport::Udp))
}

async fn over_tcp(server: SocketAddr, request: &DnsRequest, sockets: Sockets) -> Result<Message, Fault> {
    let bytes = request.to_vec().map_err(|error| Fault::Malformed(error.to_string()))?;
    let (connect, mut handle) = TcpClientStream::new(server, None, None, sockets);
    let stream = connect.await.map_err(|error| fault(&error, Transport::Tcp))?;
    handle.send(SerialMessage::new(bytes.clone(), server)).map_err(|error| fault(&error, Transport::Tcp))?;
    let answer = match stream.first_answer().await {
        Ok(message) => message.into_parts().0,
        // This stream has no clock: hickory says "time-out" for its end.
        Err(NetError::Timeout) => {
            return Err(Fault::Malformed("the TCP connection was closed before the answer".to_owned()));
        }
        Err(error) => return Err(fault(&error, Transport::Tcp)),
    };
    let answer = answer_to(&bytes, &answer, usize::from(u16::MAX))
        .map_err(|stray| Fault::Malformed(format!("over TCP, {}", stray.as_str())))?;
    Message::from_vec(&answer).map_err(|error| Fault::Malformed(error.to_string()))
}

fn fault(error: &NetError, transport: Transport) -> Fault {
    if let NetError::Io(error) = error {
        Fault::of(error, transport)
    } else if matches!(error, NetError::Timeout) {
        Fault::Mute
    } else {
        Fault::Malformed(error.to_string())
    }
}
