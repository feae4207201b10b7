//! Certificates and keys, checked as the server and the connections to the app load them.

use std::path::Path;

use super::reader::Field;
use crate::causes::Causes;
use crate::pem::{self, PairError, PemError};

/// A key with a path, and the path from where the program runs.
type File<'a> = Option<(&'a Field<'a>, &'a Path)>;

/// Reports what is wrong with a certificate chain, with its key, or with the two together.
pub(super) fn check_pair(cert: File<'_>, key: File<'_>) {
    if !cert.or(key).is_some_and(|(field, _)| field.opens_files()) {
        return;
    }
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let Err(error) = pem::pair(path(cert), path(key), &provider) else { return };
    let PairError { certificate, key: of_key } = *error;
    report(
        cert,
        certificate.as_ref(),
        "it must be a PEM file with the certificate chain, the own certificate first",
    );
    report(key, of_key.as_ref(), "it must be a PEM file with the private key of the certificate");
}

/// Reports what is wrong with a file of trusted authorities.
pub(super) fn check_authorities(file: File<'_>) {
    let Some((_, path)) = file.filter(|(field, _)| field.opens_files()) else { return };
    let error = pem::authorities(path).err();
    report(file, error.as_ref(), "it must be a PEM file with the certificates of the trusted authorities");
}

/// One that is not given has been reported as missing, and does not exist.
fn path<'a>(file: File<'a>) -> &'a Path {
    match file {
        Some((_, path)) => path,
        None => Path::new(""),
    }
}

fn report(file: File<'_>, error: Option<&PemError>, expected: &str) {
    if let (Some((field, path)), Some(error)) = (file, error) {
        field.problem(format!("{path:?} {}; {expected}", Causes(error)));
    }
}
