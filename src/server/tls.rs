//! TLS from clients: certificate and key, read at the start.

use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use super::TlsFiles;

/// Why TLS cannot be offered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read, or does not hold what it should.
    #[error("{key} {path}: {reason}")]
    File {
        /// `tls.cert_file` or `tls.key_file`
        key: &'static str,
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Certificate and key do not belong together, or cannot be used.
    #[error("tls: {0}")]
    Pair(rustls::Error),
}

impl TlsFiles {
    /// Reads the files; what is wrong with them is known before the first client.
    ///
    /// # Errors
    /// See [`TlsError`].
    pub(super) fn load(&self) -> Result<TlsAcceptor, TlsError> {
        let file = |key, path: &Path, reason: String| TlsError::File {
            key,
            path: path.display().to_string(),
            reason,
        };
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(&self.cert_file)
            .and_then(Iterator::collect)
            .map_err(|error| file("tls.cert_file", &self.cert_file, error.to_string()))?;
        if chain.is_empty() {
            return Err(file("tls.cert_file", &self.cert_file, "there is no certificate in it".to_owned()));
        }
        let key = PrivateKeyDer::from_pem_file(&self.key_file)
            .map_err(|error| file("tls.key_file", &self.key_file, error.to_string()))?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
            .map_err(TlsError::Pair)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}
