//! TLS to upstreams: trusted authorities, and the client certificate.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use rustls::sign::SingleCertAndKey;
use rustls_platform_verifier::BuilderVerifierExt;

use crate::pem;
use crate::setters::setters;

/// TLS settings for https upstreams.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct UpstreamTls {
    /// A PEM file of trusted authorities, instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// The client certificate, for upstreams that request one.
    pub client: Option<ClientCertificate>,
    /// The name that the upstream's certificate must be valid for, instead of the host
    /// of its address.
    pub server_name: Option<String>,
}

impl UpstreamTls {
    setters!(; client: into Option<ClientCertificate>);

    /// Sets the field `ca_file`.
    #[must_use]
    pub fn ca_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.ca_file = Some(path.into());
        self
    }

    /// Sets the field `server_name`.
    #[must_use]
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.server_name = Some(name.into());
        self
    }
}

/// A client certificate and its key, as PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClientCertificate {
    /// The chain, the client certificate first.
    pub cert_file: PathBuf,
    /// The private key.
    pub key_file: PathBuf,
}

impl ClientCertificate {
    /// The files of a certificate chain and of its key.
    #[must_use]
    pub fn new(cert_file: impl Into<PathBuf>, key_file: impl Into<PathBuf>) -> Self {
        Self { cert_file: cert_file.into(), key_file: key_file.into() }
    }
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why TLS to the upstream cannot be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsSetupError {
    /// A file cannot be used.
    #[error("upstream_tls.{key} {path} cannot be used")]
    File {
        /// The configuration key, below `upstream_tls`.
        key: &'static str,
        /// The file.
        path: String,
        /// Why.
        source: BoxError,
    },
    /// The name is not a valid DNS name or IP address.
    #[error("upstream_tls.server_name {0:?} is not a DNS name or an IP address")]
    ServerName(String),
    /// rustls cannot be set up, or the system's authorities cannot be used.
    #[error("TLS to the upstream cannot be set up")]
    Library(#[source] BoxError),
}

/// TLS client configurations, ready for use.
#[derive(Debug, Clone)]
pub(super) struct Tls {
    /// Offers HTTP/2 and HTTP/1.1.
    pub(super) h2_or_http1: Arc<ClientConfig>,
    /// Offers only HTTP/1.1, for WebSockets.
    pub(super) http1: Arc<ClientConfig>,
    pub(super) server_name: Option<ServerName<'static>>,
    /// The settings and a digest of each file, to detect changes.
    fingerprint: Fingerprint,
}

type Fingerprint = (UpstreamTls, Vec<[u8; 32]>);

impl Tls {
    /// Reads the files. If nothing has changed, `previous` is reused, so that its TLS
    /// sessions are resumed.
    pub(super) fn load(settings: &UpstreamTls, previous: Option<&Self>) -> Result<Self, TlsSetupError> {
        let fingerprint = (settings.clone(), digests(settings));
        if let Some(previous) = previous.filter(|previous| previous.fingerprint == fingerprint) {
            return Ok(previous.clone());
        }
        let server_name = settings.server_name.as_ref().map(|name| {
            ServerName::try_from(name.clone()).map_err(|_| TlsSetupError::ServerName(name.clone()))
        });
        let config = config(settings)?;
        let with = |protocols: &[&[u8]]| {
            // A clone shares the session store, so that a session resumes with either.
            let mut config = config.clone();
            config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
            Arc::new(config)
        };
        Ok(Self {
            h2_or_http1: with(&[b"h2", b"http/1.1"]),
            http1: with(&[b"http/1.1"]),
            server_name: server_name.transpose()?,
            fingerprint,
        })
    }

    /// Whether both were loaded from the same settings and file contents.
    pub(super) fn is_same_as(&self, other: &Self) -> bool {
        self.fingerprint == other.fingerprint
    }
}

/// Certificates are renewed in place under the same path, so contents are compared.
fn digests(settings: &UpstreamTls) -> Vec<[u8; 32]> {
    let client = settings.client.iter().flat_map(|client| [&client.cert_file, &client.key_file]);
    let digest = |path: &PathBuf| {
        let text = zeroize::Zeroizing::new(std::fs::read(path).unwrap_or_default());
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &text);
        digest.as_ref().try_into().unwrap_or_default()
    };
    settings.ca_file.iter().chain(client).map(digest).collect()
}

fn config(settings: &UpstreamTls) -> Result<ClientConfig, TlsSetupError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let library = |error: rustls::Error| TlsSetupError::Library(error.into());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(library)?;
    let builder = match settings.ca_file.as_deref() {
        None => builder.with_platform_verifier().map_err(library)?,
        Some(path) => {
            let roots = pem::authorities(path).map_err(|error| failed("ca_file", path, error))?;
            builder.with_root_certificates(roots)
        }
    };
    let Some(client) = &settings.client else { return Ok(builder.with_no_client_auth()) };
    let certified = pem::pair(&client.cert_file, &client.key_file, &provider).map_err(|error| {
        match (error.certificate, error.key) {
            (None, Some(error)) => failed("key_file", &client.key_file, error),
            (Some(error), _) => failed("cert_file", &client.cert_file, error),
            (None, None) => TlsSetupError::Library("nothing is known of the problem".into()),
        }
    })?;
    Ok(builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(certified))))
}

fn failed(key: &'static str, path: &Path, error: pem::PemError) -> TlsSetupError {
    TlsSetupError::File { key, path: path.display().to_string(), source: error.into() }
}
