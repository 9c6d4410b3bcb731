//! Whole rounds against real sockets on loopback: what the network does, and what the record says of it.

mod bed;
mod pki;
mod visits;

mod hostile;
mod http;
mod limits;
mod mtu;
mod proxy;
mod round;
mod tls;
