//! The shipper's own way: credentials, segments, ClientHello, verification.
