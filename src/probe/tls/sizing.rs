//! Sessions that only measure sizes.
//!
//! Their peer is not verified: what the packets carry does not matter, nothing but padding is ever sent, and a hole must
//! be found also where a certificate is bad. Who the peer is, is the ordinary handshake's question.

use std::sync::Arc;

use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme,
    client::{
        Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
};

use super::provider;

/// How large the first flight of a session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::probe) enum Hello {
    /// Classical key shares only: some 250 bytes, one segment on every path.
    Small,
    /// With the post-quantum key share: some 1,500 bytes, two segments at an MTU of 1,500.
    Large,
}

/// The settings of sessions that only measure sizes.
pub(in crate::probe) struct Sizing {
    small: Arc<ClientConfig>,
    large: Arc<ClientConfig>,
}

impl Sizing {
    /// Prepares both kinds of hello.
    pub(super) fn new() -> Result<Self, Error> {
        Ok(Self { small: Arc::new(config(Hello::Small)?), large: Arc::new(config(Hello::Large)?) })
    }

    /// A session that has not begun, with the server called `host`.
    pub(in crate::probe) fn session(
        &self,
        hello: Hello,
        host: &ServerName<'static>,
    ) -> Result<ClientConnection, Error> {
        let config = match hello {
            Hello::Small => &self.small,
            Hello::Large => &self.large,
        };
        ClientConnection::new(Arc::clone(config), host.clone())
    }
}

fn config(hello: Hello) -> Result<ClientConfig, Error> {
    let provider = Arc::new(provider(hello == Hello::Large));
    let mut config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anyone(provider)))
        .with_no_client_auth();
    // A resumed session has no certificate flight, which is what tests the way in.
    config.resumption = Resumption::disabled();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// Takes every certificate, but still wants the handshake's signatures to be right: they show that all of it arrived.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::ServerName;

    use super::{Hello, Sizing};

    /// The whole first flight for a host's name.
    fn flight(hello: Hello, host: &str) -> usize {
        let name = ServerName::try_from(host.to_owned()).expect("a name");
        let mut session = Sizing::new().expect("settings").session(hello, &name).expect("a session");
        let mut bytes = Vec::new();
        while session.wants_write() {
            session.write_tls(&mut bytes).expect("a vector takes all");
        }
        bytes.len()
    }

    #[test]
    fn a_small_hello_fits_every_path_and_a_large_one_no_segment_of_1500() {
        let longest = format!("{}.example", ["a".repeat(60), "b".repeat(60), "c".repeat(60), "d".repeat(60)].join("."));
        for host in ["s3.a.co", "ssm.eu-west-1.amazonaws.com", &longest] {
            let (small, large) = (flight(Hello::Small, host), flight(Hello::Large, host));
            assert!(small < 500, "{small} bytes for {host}");
            // Without timestamps, a segment carries 1,460 bytes at an MTU of 1,500.
            assert!(large > 1_460, "{large} bytes for {host}");
        }
    }
}
