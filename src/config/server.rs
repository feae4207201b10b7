//! Settings of the server: listeners, timeouts and limits towards clients.

use std::net::SocketAddr;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::reader::{Field, Table};
use super::serving_files;
use crate::client::TrustedProxies;
use crate::server::{CertificateFiles, ListenAddress, ServerSettings};

/// Less would reject browsers with a long cookie.
const MIN_HEADER_BYTES: u64 = 8 * 1024;
/// More would let a few clients exhaust the memory.
const MAX_HEADER_BYTES: u64 = 1024 * 1024;
/// The HTTP library's own limit.
const MAX_HEADERS: usize = 10_000;
const MAX_STREAMS: usize = 10_000;
const MAX_THREADS: usize = 1_024;

/// Reads the server's settings; the defaults are those of the reference.
pub(super) fn server(root: &Table<'_>, folder: &Path, trusted_proxies: &TrustedProxies) -> ServerSettings {
    let timeouts = root.table("timeouts");
    let limits = root.table("limits");
    let at_least_one = |name, most| count(&limits, name, 1, most);
    let usual = ServerSettings::default();
    ServerSettings {
        listen: listen(root).unwrap_or(usual.listen),
        listen_mode: listen_mode(root).unwrap_or(usual.listen_mode),
        proxy_protocol: proxy_protocol(root, trusted_proxies),
        trusted_proxies: trusted_proxies.clone(),
        tls: tls(&root.table("tls"), folder),
        threads: count(root, "threads", 1, MAX_THREADS).unwrap_or_else(cores),
        header_timeout: time(&timeouts, "header", 10),
        idle_timeout: time(&timeouts, "idle", 75),
        stream_timeout: time(&timeouts, "stream", 600),
        drain_timeout: time(&timeouts, "drain", 30),
        header_bytes: header_bytes(&limits).unwrap_or(usual.header_bytes),
        headers: at_least_one("headers", MAX_HEADERS).unwrap_or(usual.headers),
        connections: at_least_one("connections", usize::MAX).unwrap_or(usual.connections),
        connections_per_address: at_least_one("connections_per_address", usize::MAX)
            .unwrap_or(usual.connections_per_address),
        streams: at_least_one("streams", MAX_STREAMS)
            .and_then(|count| count.try_into().ok())
            .unwrap_or(usual.streams),
    }
}

/// The TCP addresses.
pub(super) fn ports(listen: &[ListenAddress]) -> Vec<SocketAddr> {
    let port = |address: &ListenAddress| match address {
        ListenAddress::Tcp(address) => Some(*address),
        ListenAddress::Unix(_) => None,
    };
    listen.iter().filter_map(port).collect()
}

/// The number of CPU cores.
fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

fn listen(root: &Table<'_>) -> Option<Vec<ListenAddress>> {
    let field = root.field("listen")?;
    let fields = field.one_or_more();
    if field.as_list().is_some_and(|list| list.is_empty()) {
        field.invalid("names no address; write it like \"127.0.0.1:4180\"");
    }
    let mut addresses = Vec::new();
    for field in fields {
        let Some(address) = field.parse(ListenAddress::parse) else { continue };
        if addresses.contains(&address) {
            field.invalid("is listed already");
        }
        addresses.push(address);
    }
    Some(addresses)
}

fn listen_mode(root: &Table<'_>) -> Option<u32> {
    let field = root.field("listen_mode")?;
    field.parse(|text| {
        let bits = u32::from_str_radix(text, 8).ok().filter(|bits| *bits <= 0o777);
        bits.ok_or("is not a file mode; write it in octal, like \"660\"")
    })
}

fn proxy_protocol(root: &Table<'_>, trusted_proxies: &TrustedProxies) -> bool {
    let Some(field) = root.field("proxy_protocol") else { return false };
    let on = field.flag().unwrap_or(false);
    if on && trusted_proxies.is_nobody() {
        field.invalid("needs the load balancer's address in `trusted_proxies`");
    }
    on
}

/// The certificates; the one of `[tls]` itself comes first.
fn tls(table: &Table<'_>, folder: &Path) -> Vec<CertificateFiles> {
    let mut certificates: Vec<_> = pair(table, folder).into_iter().collect();
    let Some(further) = table.field("certificates") else { return certificates };
    if certificates.is_empty() && table.field("cert_file").is_none() {
        further
            .invalid("is for additional certificates; set the first one with tls.cert_file and tls.key_file");
    }
    for entry in further.as_list().unwrap_or_default() {
        certificates.extend(entry.as_table().and_then(|table| pair(&table, folder)));
    }
    certificates
}

/// Reads a certificate and its key.
fn pair(table: &Table<'_>, folder: &Path) -> Option<CertificateFiles> {
    if table.field("cert_file").is_none() && table.field("key_file").is_none() {
        return None;
    }
    let how = "TLS needs a certificate chain and its key";
    let (cert, key) = (table.required("cert_file", how), table.required("key_file", how));
    let cert_file = cert.as_ref().and_then(|field| path(field, folder));
    let key_file = key.as_ref().and_then(|field| path(field, folder));
    serving_files::check_pair(cert.as_ref().zip(cert_file.as_deref()), key.as_ref().zip(key_file.as_deref()));
    Some(CertificateFiles { cert_file: cert_file?, key_file: key_file? })
}

/// Reads a path; relative ones are based on the configuration file's folder.
pub(super) fn path(field: &Field<'_>, folder: &Path) -> Option<PathBuf> {
    field.path(folder)
}

pub(super) fn time(timeouts: &Table<'_>, name: &str, seconds: u64) -> Duration {
    let set = timeouts.field(name).and_then(|field| field.duration(Duration::from_millis(1)));
    set.unwrap_or(Duration::from_secs(seconds))
}

fn header_bytes(limits: &Table<'_>) -> Option<usize> {
    let field = limits.field("header_bytes")?;
    let size = field.size()?;
    if !(MIN_HEADER_BYTES..=MAX_HEADER_BYTES).contains(&size) {
        field.invalid("is out of range; it must be from 8KiB to 1MiB");
    }
    usize::try_from(size).ok()
}

/// Reads a number from `least` to `most`.
fn count(table: &Table<'_>, name: &str, least: usize, most: usize) -> Option<usize> {
    let field = table.field(name)?;
    let count = field.count()?;
    if !(least..=most).contains(&count) {
        field.invalid(match most {
            usize::MAX => format!("is too few; it must be at least {least}"),
            _ => format!("is out of range; it must be from {least} to {most}"),
        });
    }
    Some(count)
}
