//! The web server of `http_server` over TLS: its handlers are the same, with a layer below them.
//!
//! usage: https_server ADDR:PORT DIR CERTIFICATE.pem KEY.pem
//!
//! A certificate to try it with:
//!
//! ```console
//! $ openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 7 -subj /CN=localhost \
//!     -addext basicConstraints=critical,CA:FALSE -addext subjectAltName=DNS:localhost \
//!     -keyout key.pem -out cert.pem
//! $ cargo run -p asyncore-rs --features tls --example https_server 127.0.0.1:8443 . cert.pem key.pem
//! $ curl --cacert cert.pem https://localhost:8443/
//! ```

#[path = "../http_server"]
#[allow(dead_code, reason = "a page about the server's own activity is part of http_server only")]
mod http_server {
    pub(crate) mod site;

    mod builtin;
    mod files;
    mod form;
}

use std::env;
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Arc;

use asyncore::rustls::ServerConfig;
use asyncore::rustls::pki_types::pem::PemObject as _;
use asyncore::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use asyncore::{Channel, Dispatcher, Domain, Result, Socket, TlsLayer, Type};
use asyncore_http::Connection;

use self::http_server::site::Site;

struct Server {
    site: Rc<Site>,
    config: Arc<ServerConfig>,
}

impl Dispatcher for Server {
    fn handle_accepted(
        &mut self,
        ch: &mut Channel<'_>,
        sock: Socket,
        _peer: Option<SocketAddr>,
    ) -> Result {
        let layer = TlsLayer::server(Arc::clone(&self.config))?;
        let client = Connection::start(ch, sock, Rc::clone(&self.site) as _);
        if let Some(mut client) = ch.channel(client) {
            client.insert_layer(layer, &[])?;
        }
        Ok(())
    }
}

fn config(certificate: &Path, key: &Path) -> Result<ServerConfig> {
    let certificates =
        CertificateDer::pem_file_iter(certificate)?.collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_file(key)?;
    let mut config =
        ServerConfig::builder().with_no_client_auth().with_single_cert(certificates, key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn serve(addr: &str, dir: &str, certificate: &Path, key: &Path) -> Result {
    let addr: SocketAddr = addr.parse()?;
    let site = Rc::new(Site::directory(dir.into())?);
    let config = Arc::new(config(certificate, key)?);
    asyncore::run(|map| {
        map.add_with(|ch| {
            ch.create_socket(Domain::for_address(addr), Type::STREAM)?;
            ch.set_reuse_addr();
            ch.bind(addr)?;
            ch.listen(1024)?;
            println!("{}", ch.local_addr()?);
            Ok(Server { site, config })
        })?;
        Ok(())
    })
}

fn main() -> ExitCode {
    let args = env::args().skip(1).collect::<Vec<_>>();
    let [addr, dir, certificate, key] = &args[..] else {
        eprintln!("usage: https_server ADDR:PORT DIR CERTIFICATE.pem KEY.pem");
        return ExitCode::from(2);
    };
    match serve(addr, dir, certificate.as_ref(), key.as_ref()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("https_server: {error}");
            ExitCode::FAILURE
        }
    }
}
