//! TLS towards upstreams: whom to trust, and who we are.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;

/// How https upstreams are spoken to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "made by the configuration or in code, with every field said")]
pub struct UpstreamTls {
    /// A PEM file with the authorities to trust, instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// Our certificate and its key, as PEM, for upstreams that ask for one.
    pub client: Option<ClientCertificate>,
    /// The name that an upstream's certificate must have, instead of the host in
    /// its address.
    pub server_name: Option<String>,
}

/// A certificate that clients show.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "made by the configuration or in code, with every field said")]
pub struct ClientCertificate {
    /// The chain, our own certificate first.
    pub cert_file: PathBuf,
    /// The private key.
    pub key_file: PathBuf,
}

/// Why https to the upstream cannot be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsSetupError {
    /// A file cannot be read: its key, its path, and why.
    #[error("upstream_tls.{0} {1}: {2}")]
    File(&'static str, String, String),
    /// The name is none that a certificate can have.
    #[error("upstream_tls.server_name {0:?} is not a name that a certificate can have")]
    ServerName(String),
    /// The system's authorities, or the library's defaults, cannot be used.
    #[error("TLS towards the upstream: {0}")]
    Library(#[from] rustls::Error),
}

/// TLS, made ready.
#[derive(Debug, Clone)]
pub(super) struct Tls {
    /// Offers HTTP/2 and HTTP/1.1.
    pub(super) either: Arc<ClientConfig>,
    /// HTTP/1.1 alone, for WebSockets.
    pub(super) http1: Arc<ClientConfig>,
    pub(super) server_name: Option<ServerName<'static>>,
    /// What it was made of: settings, and a digest of each file.
    fingerprint: Fingerprint,
}

type Fingerprint = (UpstreamTls, Vec<[u8; 32]>);

impl Tls {
    /// Reads the files; `before`, if nothing in them is new, so that its sessions
    /// are resumed.
    pub(super) fn load(settings: &UpstreamTls, before: Option<&Self>) -> Result<Self, TlsSetupError> {
        let fingerprint = (settings.clone(), digests(settings));
        if let Some(before) = before.filter(|before| before.fingerprint == fingerprint) {
            return Ok(before.clone());
        }
        let server_name = settings.server_name.as_ref().map(|name| {
            ServerName::try_from(name.clone()).map_err(|_| TlsSetupError::ServerName(name.clone()))
        });
        let config = config(settings)?;
        let with = |protocols: &[&[u8]]| {
            // A clone shares the store of sessions, which resume for either alike.
            let mut config = config.clone();
            config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
            Arc::new(config)
        };
        Ok(Self {
            either: with(&[b"h2", b"http/1.1"]),
            http1: with(&[b"http/1.1"]),
            server_name: server_name.transpose()?,
            fingerprint,
        })
    }

    /// Whether both came from the same settings and files.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        self.fingerprint == other.fingerprint
    }
}

/// Certificates are renewed in place, under the same name.
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
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let builder = match settings.ca_file.as_deref() {
        None => builder.with_platform_verifier()?,
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates("ca_file", path)? {
                roots.add(certificate).map_err(|error| failed("ca_file", path, &error))?;
            }
            builder.with_root_certificates(roots)
        }
    };
    let Some(client) = &settings.client else { return Ok(builder.with_no_client_auth()) };
    let chain = certificates("cert_file", &client.cert_file)?;
    let key = PrivateKeyDer::from_pem_file(&client.key_file)
        .map_err(|error| failed("key_file", &client.key_file, &error))?;
    builder.with_client_auth_cert(chain, key).map_err(|error| failed("cert_file", &client.cert_file, &error))
}

fn certificates(key: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsSetupError> {
    let read = CertificateDer::pem_file_iter(path).map_err(|error| failed(key, path, &error))?;
    let read: Vec<_> = read.collect::<Result<_, _>>().map_err(|error| failed(key, path, &error))?;
    if read.is_empty() { Err(failed(key, path, &"there is no certificate in it")) } else { Ok(read) }
}

fn failed(key: &'static str, path: &Path, why: &dyn std::fmt::Display) -> TlsSetupError {
    TlsSetupError::File(key, path.display().to_string(), why.to_string())
}
