//! TLS from clients: loads certificates, and selects one by server name.

use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::ServerName;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio_rustls::TlsAcceptor;
use webpki::EndEntityCert;

use super::settings::CertificateFiles;
use crate::pem::{self, PemError};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read or parsed.
    #[error("{key} {path} cannot be used")]
    File {
        /// The configuration key: `tls.cert_file` or `tls.key_file`.
        key: &'static str,
        /// The file.
        path: String,
        /// What is wrong with it.
        source: BoxError,
    },
    /// Certificate and key do not match, or cannot be used.
    #[error("tls.cert_file {path} cannot be used with its key")]
    Pair {
        /// The certificate's file.
        path: String,
        /// What is wrong with the pair.
        source: BoxError,
    },
    /// rustls cannot be set up.
    #[error("TLS cannot be set up")]
    Library(#[source] BoxError),
}

/// The certificates in the order of the configuration.
#[derive(Debug)]
struct Certificates {
    all: Vec<Arc<CertifiedKey>>,
}

/// Loads the files, so that their problems show before the first client connects.
pub(super) fn acceptor(files: &[CertificateFiles]) -> Result<TlsAcceptor, TlsError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let all = files.iter().map(|files| files.load(&provider)).collect::<Result<_, _>>()?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(library)?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Certificates { all }));
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.ticketer = rustls::crypto::aws_lc_rs::Ticketer::new().map_err(library)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn library(error: rustls::Error) -> TlsError {
    TlsError::Library(error.into())
}

impl CertificateFiles {
    fn load(&self, provider: &CryptoProvider) -> Result<Arc<CertifiedKey>, TlsError> {
        let path = |path: &Path| path.display().to_string();
        let file = |key, file: &Path, error: PemError| TlsError::File {
            key,
            path: path(file),
            source: error.into(),
        };
        let certified = pem::pair(&self.cert_file, &self.key_file, provider).map_err(|error| {
            match (error.certificate, error.key) {
                (Some(PemError::Unusable(error)), _)
                | (None, Some(PemError::Unusable(error) | PemError::Mismatch(error))) => {
                    TlsError::Pair { path: path(&self.cert_file), source: error.into() }
                }
                (Some(error), _) => file("tls.cert_file", &self.cert_file, error),
                (None, Some(error)) => file("tls.key_file", &self.key_file, error),
                (None, None) => TlsError::Library("nothing is known of the problem".into()),
            }
        })?;
        Ok(Arc::new(certified))
    }
}

impl ResolvesServerCert for Certificates {
    /// The first certificate that is valid for the client's server name (RFC 6066,
    /// section 3); the very first, if none is.
    fn resolve(&self, client: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let server_name = client.server_name().and_then(|name| ServerName::try_from(name).ok());
        let fits = |certified: &&Arc<CertifiedKey>| {
            let own = certified.end_entity_cert().ok().and_then(|cert| EndEntityCert::try_from(cert).ok());
            own.zip(server_name.as_ref())
                .is_some_and(|(cert, name)| cert.verify_is_valid_for_subject_name(name).is_ok())
        };
        // A single certificate is used without checking its names.
        let fitting = if self.all.len() > 1 { self.all.iter().find(fits) } else { None };
        fitting.or_else(|| self.all.first()).map(Arc::clone)
    }
}
