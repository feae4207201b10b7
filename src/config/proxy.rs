//! What only the proxy has: where it listens, where it sends requests, limits.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::reader::{Field, Table};
use crate::gate::Route;
use crate::server::{ServerSettings, TlsFiles};
use crate::upstream::{UpstreamSettings, UpstreamUrl};

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

/// The upstream's settings; `None` without an upstream, which the layer has no
/// use for.
pub(super) fn upstream(
    root: &Table<'_>,
    folder: &Path,
    routes: &[Route],
    listen: &[SocketAddr],
) -> Option<UpstreamSettings> {
    let timeouts = root.table("timeouts");
    let connect_timeout = time(&timeouts, "connect", 5);
    let response_timeout = time(&timeouts, "response", 60);
    let ca_file = root.table("upstream_tls").field("ca_file").and_then(|field| path(&field, folder));
    let body_bytes = root.table("limits").field("body_bytes").and_then(|field| body_bytes(&field));
    let of_routes = root.field("route").and_then(|field| field.as_list()).unwrap_or_default();
    let of_routes = of_routes.iter().filter_map(|route| route.as_table()?.field("upstream"));
    for field in of_routes.chain(root.field("upstream")) {
        let url = field.as_text().and_then(|text| UpstreamUrl::parse(text).ok());
        if url.is_some_and(|url| listen.iter().any(|address| leads_to(&url, *address))) {
            field.wrong("is where huggate itself listens; let the app listen elsewhere, or set `listen`");
        }
    }
    let default = root.field("upstream")?.parse(UpstreamUrl::parse)?;
    let routes = routes
        .iter()
        .map(|route| route.upstream.as_ref().and_then(|url| UpstreamUrl::parse(url.as_str()).ok()))
        .collect();
    Some(UpstreamSettings { default, routes, connect_timeout, response_timeout, ca_file, body_bytes })
}

/// Whether a request to `upstream` would come back to us.
fn leads_to(upstream: &UpstreamUrl, listen: SocketAddr) -> bool {
    let shown = upstream.to_string();
    let own = |host: &str| shown == format!("http://{host}:{}", listen.port());
    shown == format!("http://{listen}")
        || (listen.ip().is_loopback() && own("localhost"))
        || (listen.ip().is_unspecified() && ["127.0.0.1", "localhost", "[::1]"].into_iter().any(own))
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
fn path(field: &Field<'_>, folder: &Path) -> Option<PathBuf> {
    field.parse(|text| if text.is_empty() { Err("is not a path") } else { Ok(folder.join(text)) })
}

fn time(timeouts: &Table<'_>, name: &str, seconds: u64) -> Duration {
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

fn body_bytes(field: &Field<'_>) -> Option<u64> {
    if field.as_text() == Some("none") {
        return None;
    }
    let size = field.size()?;
    if size == 0 {
        field.wrong("would refuse every body; \"none\" is no limit");
    }
    Some(size)
}

fn connections(limits: &Table<'_>) -> Option<usize> {
    let field = limits.field("connections")?;
    let count = field.count()?;
    if count == 0 {
        field.wrong("would let nobody connect; it must be at least 1");
    }
    Some(count)
}
