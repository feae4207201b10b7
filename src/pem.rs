//! Certificates and private keys in PEM files (RFC 7468).

use std::io::{self, ErrorKind};
use std::path::Path;

use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

/// Why a file cannot be used; continues after its name.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PemError {
    #[error("does not exist")]
    NotFound,
    #[error("cannot be read")]
    Unreadable(#[source] io::Error),
    #[error("contains no {0} in PEM")]
    Empty(&'static str),
    #[error("is not valid PEM")]
    Malformed(#[source] pem::Error),
    #[error("does not belong to the certificate")]
    Mismatch(rustls::Error),
    #[error("cannot be used")]
    Unusable(#[source] rustls::Error),
}

/// Why a certificate and its key cannot be used; at least one is set.
#[derive(Debug, Default)]
pub(crate) struct PairError {
    pub(crate) certificate: Option<PemError>,
    pub(crate) key: Option<PemError>,
}

/// Loads a chain and the key of its first certificate, and checks that they belong together.
pub(crate) fn pair(
    cert: &Path,
    key: &Path,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, Box<PairError>> {
    let (chain, key) = match (certificates(cert), private_key(key)) {
        (Ok(chain), Ok(key)) => (chain, key),
        (chain, key) => return Err(Box::new(PairError { certificate: chain.err(), key: key.err() })),
    };
    let certified = CertifiedKey::from_der(chain, key, provider).and_then(|certified| {
        certified.keys_match()?;
        Ok(certified)
    });
    certified.map_err(|error| {
        Box::new(match error {
            rustls::Error::InvalidCertificate(_) => {
                PairError { certificate: Some(PemError::Unusable(error)), key: None }
            }
            rustls::Error::InconsistentKeys(_) => {
                PairError { certificate: None, key: Some(PemError::Mismatch(error)) }
            }
            _ => PairError { certificate: None, key: Some(PemError::Unusable(error)) },
        })
    })
}

/// Loads trusted authorities.
pub(crate) fn authorities(path: &Path) -> Result<RootCertStore, PemError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(PemError::Unusable)?;
    }
    Ok(roots)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, PemError> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let read = read.map_err(|error| describe(error, "certificate"))?;
    if read.is_empty() { Err(PemError::Empty("certificate")) } else { Ok(read) }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, PemError> {
    PrivateKeyDer::from_pem_file(path).map_err(|error| describe(error, "private key"))
}

fn describe(error: pem::Error, what: &'static str) -> PemError {
    match error {
        pem::Error::NoItemsFound => PemError::Empty(what),
        pem::Error::Io(error) => unreadable(&error),
        error => PemError::Malformed(error),
    }
}

fn unreadable(error: &io::Error) -> PemError {
    match error.kind() {
        ErrorKind::NotFound => PemError::NotFound,
        // Without the number of the error, which helps nobody.
        kind => PemError::Unreadable(kind.into()),
    }
}
