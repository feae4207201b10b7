//! New connections to an upstream, with or without TLS.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::address::UpstreamUrl;
use super::body::RequestBody;
use super::pool::Sender;

/// Connects to one upstream.
pub(super) struct Connector {
    url: UpstreamUrl,
    tls: Option<Arc<ClientConfig>>,
    timeout: Duration,
}

/// Why there is no connection.
#[derive(Debug)]
pub(super) enum ConnectError {
    Timeout,
    Io(io::Error),
}

/// Why https to the upstream cannot be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsSetupError {
    /// The file of authorities cannot be read.
    #[error("upstream_tls.ca_file {0}: {1}")]
    CaFile(String, String),
    /// The system's authorities, or the library's defaults, cannot be used.
    #[error("TLS towards the upstream: {0}")]
    Library(#[from] rustls::Error),
}

impl Connector {
    pub(super) fn new(url: UpstreamUrl, tls: Option<Arc<ClientConfig>>, timeout: Duration) -> Self {
        Self { url, tls, timeout }
    }

    pub(super) fn url(&self) -> &UpstreamUrl {
        &self.url
    }

    /// A new connection, ready for a request, within the time for it.
    pub(super) async fn connect(&self) -> Result<Sender, ConnectError> {
        match tokio::time::timeout(self.timeout, self.dial()).await {
            Ok(Ok(sender)) => Ok(sender),
            Ok(Err(error)) => Err(ConnectError::Io(error)),
            Err(_) => Err(ConnectError::Timeout),
        }
    }

    async fn dial(&self) -> io::Result<Sender> {
        let stream = TcpStream::connect(&*self.url.authority).await?;
        stream.set_nodelay(true)?;
        let Some(tls) = &self.tls else { return handshake(stream).await };
        let name = ServerName::try_from(self.url.host.clone()).map_err(io::Error::other)?;
        handshake(TlsConnector::from(Arc::clone(tls)).connect(name, stream).await?).await
    }
}

async fn handshake(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> io::Result<Sender> {
    let (sender, connection) =
        http1::handshake::<_, RequestBody>(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    tokio::spawn(async move {
        // Whoever waits for a response is told the reason by the sender.
        if let Err(error) = connection.with_upgrades().await {
            tracing::debug!(%error, "a connection to the upstream broke");
        }
    });
    Ok(Sender::Http1(sender))
}

/// TLS towards upstreams: the authorities of `ca_file`, or the system's.
pub(super) fn tls(ca_file: Option<&Path>) -> Result<Arc<ClientConfig>, TlsSetupError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let mut config = match ca_file {
        None => builder.with_platform_verifier()?.with_no_client_auth(),
        Some(path) => {
            let failed = |reason: String| TlsSetupError::CaFile(path.display().to_string(), reason);
            let mut roots = RootCertStore::empty();
            for certificate in
                CertificateDer::pem_file_iter(path).map_err(|error| failed(error.to_string()))?
            {
                let certificate = certificate.map_err(|error| failed(error.to_string()))?;
                roots.add(certificate).map_err(|error| failed(error.to_string()))?;
            }
            if roots.is_empty() {
                return Err(failed("there is no certificate in it".to_owned()));
            }
            builder.with_root_certificates(roots).with_no_client_auth()
        }
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connector").field("url", &self.url).finish_non_exhaustive()
    }
}
