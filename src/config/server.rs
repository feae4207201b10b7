//! What only the proxy has: where it listens, how long and how much it takes from
//! clients.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::reader::{Field, Table};
use crate::server::{ServerSettings, TlsFiles};

/// Where we listen unless told: on this machine alone.
const LISTEN: ([u8; 4], u16) = ([127, 0, 0, 1], 4180);
/// Less, and a browser with a long cookie is refused.
const LEAST_HEADERS: u64 = 8 * 1024;
/// More, and a handful of clients fill the memory.
const MOST_HEADERS: u64 = 1024 * 1024;

/// The server's settings; their defaults are those of the reference.
pub(super) fn server(root: &Table<'_>, folder: &Path) -> ServerSettings {
    let timeouts = root.table("timeouts");
    let limits = root.table("limits");
    ServerSettings {
        listen: listen(root),
        tls: tls(&root.table("tls"), folder),
        header_timeout: time(&timeouts, "header", 10),
        idle_timeout: time(&timeouts, "idle", 75),
        drain_timeout: time(&timeouts, "drain", 30),
        header_bytes: header_bytes(&limits).unwrap_or(64 * 1024),
        connections: connections(&limits).unwrap_or(10_000),
    }
}

fn listen(root: &Table<'_>) -> Vec<SocketAddr> {
    let Some(field) = root.field("listen") else { return vec![SocketAddr::from(LISTEN)] };
    let fields = field.one_or_more();
    if field.as_list().is_some_and(|list| list.is_empty()) {
        field.wrong("names no address; write it like \"127.0.0.1:4180\"");
    }
    let mut addresses = Vec::new();
    for field in fields {
        let why = "is not an address and a port; write it like \"127.0.0.1:4180\" or \"[::]:4180\"";
        let Some(address) = field.parse(|text| text.parse::<SocketAddr>().map_err(|_| why)) else { continue };
        if addresses.contains(&address) {
            field.wrong("is listed already");
        }
        addresses.push(address);
    }
    addresses
}

fn tls(table: &Table<'_>, folder: &Path) -> Option<TlsFiles> {
    let (cert, key) = (table.field("cert_file"), table.field("key_file"));
    if cert.is_none() && key.is_none() {
        return None;
    }
    let cert_file = table
        .required("cert_file", "TLS takes a certificate chain besides its key")
        .and_then(|field| path(&field, folder));
    let key_file = table
        .required("key_file", "TLS takes a key besides the certificate")
        .and_then(|field| path(&field, folder));
    Some(TlsFiles { cert_file: cert_file?, key_file: key_file? })
}

/// A path as the file means it: relative to the folder that the file is in.
pub(super) fn path(field: &Field<'_>, folder: &Path) -> Option<PathBuf> {
    field.parse(|text| if text.is_empty() { Err("is not a path") } else { Ok(folder.join(text)) })
}

pub(super) fn time(timeouts: &Table<'_>, name: &str, seconds: u64) -> Duration {
    let set = timeouts.field(name).and_then(|field| field.duration(Duration::from_millis(1)));
    set.unwrap_or(Duration::from_secs(seconds))
}

fn header_bytes(limits: &Table<'_>) -> Option<usize> {
    let field = limits.field("header_bytes")?;
    let size = field.size()?;
    if !(LEAST_HEADERS..=MOST_HEADERS).contains(&size) {
        field.wrong("is out of range; it must be from 8KiB to 1MiB");
    }
    usize::try_from(size).ok()
}

fn connections(limits: &Table<'_>) -> Option<usize> {
    let field = limits.field("connections")?;
    let count = field.count()?;
    if count == 0 {
        field.wrong("would let nobody connect; it must be at least 1");
    }
    Some(count)
}
