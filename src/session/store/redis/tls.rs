//! TLS towards the servers.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;

use super::settings::{RedisSettings, RedisSettingsError};

/// The client's side. The provider is named: `ClientConfig::builder` would install one for
/// the whole process, or panic where crates enable several.
pub(super) fn client_config(settings: &RedisSettings) -> Result<ClientConfig, RedisSettingsError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| RedisSettingsError::new("url", "cannot have TLS").because(error))?;
    let builder = match &settings.ca {
        Some(pem) => builder.with_root_certificates(authorities(pem)?),
        None => builder.with_platform_verifier().map_err(|error| {
            let problem = "is not set, and the authorities of the system cannot be used: set it";
            RedisSettingsError::new("ca", problem).because(error)
        })?,
    };
    match (&settings.certificate, &settings.key) {
        (None, None) => Ok(builder.with_no_client_auth()),
        (Some(certificate), Some(key)) => {
            let certified = certified(certificate, key.expose().as_bytes(), &provider)?;
            Ok(builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(certified))))
        }
        (Some(_), None) => Err(RedisSettingsError::new("key", "is missing, and `certificate` is set")),
        (None, Some(_)) => Err(RedisSettingsError::new("certificate", "is missing, and `key` is set")),
    }
}

/// Whether something is set that only TLS uses.
pub(super) fn unused(settings: &RedisSettings) -> Option<RedisSettingsError> {
    let set = [
        ("ca", settings.ca.is_some()),
        ("certificate", settings.certificate.is_some()),
        ("key", settings.key.is_some()),
    ];
    let (setting, _) = set.into_iter().find(|(_, is_set)| *is_set)?;
    Some(RedisSettingsError::new(setting, "is set, and `url` is without TLS: write `rediss://`"))
}

fn authorities(pem: &[u8]) -> Result<RootCertStore, RedisSettingsError> {
    let mut roots = RootCertStore::empty();
    for certificate in chain("ca", pem)? {
        roots.add(certificate).map_err(|error| {
            RedisSettingsError::new("ca", "has a certificate that cannot be used").because(error)
        })?;
    }
    Ok(roots)
}

fn chain(setting: &'static str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, RedisSettingsError> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let read = read.map_err(|error| RedisSettingsError::new(setting, "is not valid PEM").because(error))?;
    if read.is_empty() {
        return Err(RedisSettingsError::new(setting, "contains no certificate in PEM"));
    }
    Ok(read)
}

fn certified(
    certificate: &[u8],
    key: &[u8],
    provider: &CryptoProvider,
) -> Result<CertifiedKey, RedisSettingsError> {
    let chain = chain("certificate", certificate)?;
    let key = PrivateKeyDer::from_pem_slice(key)
        .map_err(|error| RedisSettingsError::new("key", "contains no private key in PEM").because(error))?;
    let wrong = |error| {
        RedisSettingsError::new("key", "cannot be used, or does not belong to `certificate`").because(error)
    };
    let certified = CertifiedKey::from_der(chain, key, provider).map_err(wrong)?;
    certified.keys_match().map_err(wrong)?;
    Ok(certified)
}
