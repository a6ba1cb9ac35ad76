//! Certificates of the tests, and configurations with them.

use std::sync::{Arc, LazyLock};

use asyncore::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use asyncore::rustls::server::WebPkiClientVerifier;
use asyncore::rustls::{
    ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion, version,
};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

/// The name on the server's certificate.
pub const NAME: &str = "server.test";

/// A certificate authority, and a certificate for [`NAME`] and one for a client by it.
struct Identities {
    root: CertificateDer<'static>,
    server: Identity,
    client: Identity,
}

struct Identity {
    certificate: CertificateDer<'static>,
    key: Vec<u8>,
}

impl Identity {
    fn key(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.key.clone()).into()
    }
}

static IDENTITIES: LazyLock<Identities> = LazyLock::new(|| {
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(Vec::new()).expect("valid names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = params.self_signed(&key).expect("a certificate").der().clone();
    let issuer = Issuer::new(params, key);
    let issue = |name: &str| {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec![name.to_owned()]).expect("valid names");
        let certificate = params.signed_by(&key, &issuer).expect("a certificate").der().clone();
        Identity { certificate, key: key.serialize_der() }
    };
    Identities { root, server: issue(NAME), client: issue("client.test") }
});

pub const BOTH_VERSIONS: [&SupportedProtocolVersion; 2] = [&version::TLS12, &version::TLS13];

fn roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add(IDENTITIES.root.clone()).expect("a certificate");
    roots
}

/// A server that speaks `versions`; with `mutual`, clients must have a certificate.
pub fn server(versions: &[&'static SupportedProtocolVersion], mutual: bool) -> ServerConfig {
    let builder = ServerConfig::builder_with_protocol_versions(versions);
    let builder = match mutual {
        true => {
            let verifier = WebPkiClientVerifier::builder(Arc::new(roots())).build();
            builder.with_client_cert_verifier(verifier.expect("a root"))
        }
        false => builder.with_no_client_auth(),
    };
    let Identity { certificate, .. } = &IDENTITIES.server;
    builder
        .with_single_cert(vec![certificate.clone()], IDENTITIES.server.key())
        .expect("a certificate and its key")
}

/// A client that trusts the server; with `mutual`, it has a certificate.
pub fn client(mutual: bool) -> ClientConfig {
    let builder = ClientConfig::builder().with_root_certificates(roots());
    match mutual {
        true => {
            let certificates = vec![IDENTITIES.client.certificate.clone()];
            builder
                .with_client_auth_cert(certificates, IDENTITIES.client.key())
                .expect("a certificate and its key")
        }
        false => builder.with_no_client_auth(),
    }
}

/// A client that trusts no server.
pub fn distrustful() -> ClientConfig {
    ClientConfig::builder().with_root_certificates(RootCertStore::empty()).with_no_client_auth()
}

/// The server's certificate as it is sent.
pub fn server_certificate() -> CertificateDer<'static> {
    IDENTITIES.server.certificate.clone()
}

pub fn client_certificate() -> CertificateDer<'static> {
    IDENTITIES.client.certificate.clone()
}
