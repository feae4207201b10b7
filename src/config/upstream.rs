//! What only the proxy has: where it sends requests, and what it waits for there.

use std::net::SocketAddr;
use std::path::Path;

use super::reader::{Field, Table};
use super::server::{path, time};
use crate::gate::Route;
use crate::upstream::{UpstreamSettings, UpstreamUrl};

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
