//! TLS in front of a scripted provider.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::authority::Signed;
use super::provider::Provider;

/// Takes TLS connections and passes their bytes on, until it is dropped.
pub(crate) struct TlsFront {
    addr: SocketAddr,
    /// The name that each client asked for, if any, as soon as its connection stood.
    asked: Arc<Mutex<Vec<Option<String>>>>,
    task: JoinHandle<()>,
}

impl TlsFront {
    /// Shows this certificate and offers these protocols (ALPN).
    pub(crate) async fn start(provider: &Provider, signed: &Signed, protocols: &[&str]) -> Self {
        let certificate = CertificateDer::from_pem_slice(signed.certificate.as_bytes()).expect("PEM");
        let key = PrivateKeyDer::from_pem_slice(signed.key.as_bytes()).expect("PEM");
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let config = config.with_safe_default_protocol_versions().expect("versions").with_no_client_auth();
        let mut config = config.with_single_cert(vec![certificate], key).expect("a key that fits");
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let addr = listener.local_addr().expect("bound");
        let asked = Arc::default();
        let task =
            tokio::spawn(accept(listener, TlsAcceptor::from(Arc::new(config)), provider.addr(), Arc::clone(&asked)));
        Self { addr, asked, task }
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The names that clients asked for, but for those that did not like what they were shown.
    pub(crate) fn asked(&self) -> Vec<Option<String>> {
        self.asked.lock().expect("nobody panicked").clone()
    }
}

impl Drop for TlsFront {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, tls: TlsAcceptor, to: SocketAddr, asked: Arc<Mutex<Vec<Option<String>>>>) {
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok((stream, _)) = listener.accept().await else { continue };
        let (tls, asked) = (tls.clone(), Arc::clone(&asked));
        connections.spawn(async move {
            // A client that refuses the certificate ends here, or sends nothing.
            let Ok(mut client) = tls.accept(stream).await else { return };
            let name = client.get_ref().1.server_name().map(str::to_owned);
            asked.lock().expect("nobody panicked").push(name);
            let Ok(mut provider) = TcpStream::connect(to).await else { return };
            let _ = copy_bidirectional(&mut client, &mut provider).await;
        });
    }
}
