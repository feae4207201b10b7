//! Settings of the upstream.

use std::net::SocketAddr;
use std::path::Path;

use super::reader::{Field, Table};
use super::server::{path, time};
use super::serving_files;
use crate::upstream::{ClientCertificate, HealthPath, Target, UpstreamSettings, UpstreamTls, UpstreamUrl};

/// Maximum number of addresses of an app.
const MAX_ADDRESSES: usize = 64;

/// Reads the upstream's settings; `None` without an upstream, which the layer does not need.
/// `routes`: the tables of the gate's routes.
pub(super) fn upstream(
    root: &Table<'_>,
    folder: &Path,
    routes: &[Field<'_>],
    listen: &[SocketAddr],
) -> Option<UpstreamSettings> {
    let timeouts = root.table("timeouts");
    let limits = root.table("limits");
    let connect_timeout = time(&timeouts, "connect", 5);
    let response_timeout = time(&timeouts, "response", 60);
    let stream_timeout = time(&timeouts, "stream", 600);
    let tls = tls(&root.table("upstream_tls"), folder);
    let body_bytes = limits.field("body_bytes").and_then(|field| body_bytes(&field));
    let connections = limits.field("upstream_connections").and_then(|field| connections(&field));
    let of_routes = root.field("route").and_then(|field| field.as_list()).unwrap_or_default();
    let of_routes = of_routes.iter().filter_map(|route| route.as_table()?.field("upstream"));
    for field in of_routes.chain(root.field("upstream")).flat_map(|field| field.one_or_more()) {
        let url = field.as_text().and_then(|text| UpstreamUrl::parse(text).ok());
        if url.is_some_and(|url| listen.iter().any(|address| leads_to(&url, *address))) {
            field.invalid(
                "is an address that huggate listens on; let the app listen elsewhere, or change `listen`",
            );
        }
    }
    let routes = routes.iter().map(|route| of_route(&route.as_table()?)).collect();
    let default = Target {
        urls: urls(&root.field("upstream")?, OnError::Report)?,
        health: root.field("health").and_then(|field| field.parse(HealthPath::parse)),
    };
    Some(UpstreamSettings {
        default,
        routes,
        connect_timeout,
        response_timeout,
        stream_timeout,
        tls,
        body_bytes,
        connections: connections.unwrap_or(10_000),
    })
}

/// Whether to report invalid values; some have been reported elsewhere.
#[derive(Clone, Copy, PartialEq, Eq)]
enum OnError {
    Report,
    Ignore,
}

/// The target of a route, if it has its own. Problems of its URLs were reported when the route
/// was read.
fn of_route(route: &Table<'_>) -> Option<Target> {
    let health = route.field("health");
    let Some(upstream) = route.field("upstream") else {
        if let Some(health) = health {
            health.invalid("needs an upstream in the same route; add one, or remove this");
        }
        return None;
    };
    let health = health.and_then(|field| field.parse(HealthPath::parse));
    Some(Target { urls: urls(&upstream, OnError::Ignore)?, health })
}

fn urls(field: &Field<'_>, on_error: OnError) -> Option<Vec<UpstreamUrl>> {
    let fields = field.one_or_more();
    if field.as_list().is_some_and(|list| list.is_empty()) {
        field.invalid("names no address; write it like \"http://127.0.0.1:7860\"");
    }
    if fields.len() > MAX_ADDRESSES {
        field.invalid(format_args!("is too long; it must be at most {MAX_ADDRESSES} addresses"));
    }
    let mut urls = Vec::new();
    for field in fields {
        let url = match on_error {
            OnError::Report => field.parse(UpstreamUrl::parse)?,
            OnError::Ignore => UpstreamUrl::parse(field.as_text()?).ok()?,
        };
        if urls.contains(&url) {
            field.invalid("is listed already");
        }
        urls.push(url);
    }
    (!urls.is_empty()).then_some(urls)
}

fn tls(table: &Table<'_>, folder: &Path) -> UpstreamTls {
    let file = |name| table.field(name).and_then(|field| path(&field, folder));
    let (cert, key) = (table.field("cert_file"), table.field("key_file"));
    match (&cert, &key) {
        (Some(_), None) => table.missing("key_file", "a certificate needs its key"),
        (None, Some(_)) => table.missing("cert_file", "a key needs its certificate"),
        _ => {}
    }
    let (cert_file, key_file, ca_file) = (file("cert_file"), file("key_file"), file("ca_file"));
    serving_files::check_pair(cert.as_ref().zip(cert_file.as_deref()), key.as_ref().zip(key_file.as_deref()));
    let ca = table.field("ca_file");
    serving_files::check_authorities(ca.as_ref().zip(ca_file.as_deref()));
    let client = cert_file.zip(key_file);
    let server_name = table.field("server_name").and_then(|field| {
        let fine = |text: &str| rustls::pki_types::ServerName::try_from(text).is_ok();
        field.parse(|text| {
            if fine(text) {
                Ok(text.to_owned())
            } else {
                Err("is not a server name; write it like \"app.internal\"")
            }
        })
    });
    UpstreamTls {
        ca_file,
        client: client.map(|(cert_file, key_file)| ClientCertificate { cert_file, key_file }),
        server_name,
    }
}

/// Whether requests to `upstream` would return to huggate.
fn leads_to(upstream: &UpstreamUrl, listen: SocketAddr) -> bool {
    let shown = upstream.to_string();
    let shown = shown.strip_prefix("h2c://").or(shown.strip_prefix("http://")).unwrap_or(&shown);
    let own = |host: &str| shown == format!("{host}:{}", listen.port());
    shown == listen.to_string()
        || (listen.ip().is_loopback() && own("localhost"))
        || (listen.ip().is_unspecified() && ["127.0.0.1", "localhost", "[::1]"].into_iter().any(own))
}

fn body_bytes(field: &Field<'_>) -> Option<u64> {
    if field.as_text() == Some("none") {
        return None;
    }
    let size = field.size()?;
    if size == 0 {
        field.invalid("would reject every body; write \"none\" for no limit");
    }
    Some(size)
}

fn connections(field: &Field<'_>) -> Option<usize> {
    let count = field.count()?;
    if count == 0 {
        field.invalid("would let no request through; it must be at least 1");
    }
    Some(count)
}
