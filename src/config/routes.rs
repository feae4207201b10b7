//! `[[route]]`: parts of the app with their own rules.

use http::Method;
use url::Url;

use super::reader::{Field, Table};
use super::{bearer, rules};
use crate::client::normalized;
use crate::policy::{AssertionUse, CorsOrigin, PathPattern, Route, RouteAccess};

/// A route and its place in the configuration.
pub(crate) type RouteEntry<'a> = (Route, Field<'a>);

/// Reads all routes in order. An invalid route is left out, but its problem stops the start.
/// `tokens`: whether tokens of API clients are enabled.
pub(crate) fn read<'a>(root: &Table<'a>, prefix: &str, tokens: bool) -> Vec<RouteEntry<'a>> {
    let list = root.field("route").and_then(|field| field.as_list()).unwrap_or_default();
    let mut read: Vec<RouteEntry<'a>> = Vec::new();
    for field in list {
        let Some(route) = field.as_table().and_then(|table| route(&field, &table, prefix, tokens)) else {
            continue;
        };
        let earlier: Vec<&Route> = read.iter().map(|(earlier, _)| earlier).collect();
        if let Some(takers) = route.shadowed_by(&earlier) {
            let takers: Vec<String> =
                takers.iter().filter_map(|index| Some(read.get(*index)?.1.place())).collect();
            field.problem(match takers.as_slice() {
                [several @ .., last] if !several.is_empty() => format!(
                    "can never match: {} and {last} together match all its requests first",
                    several.join(", ")
                ),
                one => format!("can never match: {} matches all its requests first", one.concat()),
            });
        }
        read.push((route, field));
    }
    read
}

fn route(field: &Field<'_>, table: &Table<'_>, prefix: &str, tokens: bool) -> Option<Route> {
    if ["host", "path", "methods"].iter().all(|name| table.field(name).is_none()) {
        field.problem("matches every request; set path, host or methods (path = \"/**\" for all paths)");
        return None;
    }
    // Everything is read before the first `?`, so that all problems are reported.
    let host = table.field("host").map(|field| host(&field));
    let path = table.field("path").map(|field| path(&field, prefix));
    let methods = table.field("methods").map(|field| methods(&field));
    let access = access(table);
    let deny = table.field("deny").map(|field| rules::rules(&field));
    let upstream = table.field("upstream").map(|field| upstream(&field));
    let preflight = table.field("preflight").map(|field| field.flag());
    let cors = table.field("cors").map(|field| origins(&field));
    let assertion = table.field("assertion").map(|field| assertion(&field));
    let bearer = bearer::of_route(table, tokens);
    let forward_authorization = table.field("forward_authorization").map(|field| field.flag());
    Some(Route {
        host: transpose(host)?,
        path: transpose(path)?,
        methods: transpose(methods)?.unwrap_or_default(),
        access: access?,
        deny: transpose(deny)?.unwrap_or_default(),
        upstream: transpose(upstream)?,
        bearer: bearer?,
        forward_authorization: transpose(forward_authorization)?.unwrap_or_default(),
        preflight: transpose(preflight)?.unwrap_or_default(),
        cors: transpose(cors)?.unwrap_or_default(),
        assertion: transpose(assertion)?.unwrap_or_default(),
        invalid_path: None,
    })
}

/// A missing value is fine, an invalid one is not.
fn transpose<T>(read: Option<Option<T>>) -> Option<Option<T>> {
    match read {
        None => Some(None),
        Some(value) => value.map(Some),
    }
}

/// A host, normalised as the hosts of requests are.
fn host(field: &Field<'_>) -> Option<String> {
    const WHY: &str = "is not a host; write it like \"app.example.com\" or \"app.example.com:8443\"";
    field.parse(|text| {
        if text.contains(['/', '\\', '@', '?', '#', '*']) || text.contains(char::is_whitespace) {
            return Err(WHY);
        }
        // Parsed as a URL's host: lower case, other scripts as punycode.
        let url = Url::parse(&format!("https://{text}/")).map_err(|_| WHY)?;
        let host = url.host_str().ok_or(WHY)?;
        Ok(normalized(&url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))))
    })
}

fn path(field: &Field<'_>, prefix: &str) -> Option<PathPattern> {
    let pattern = field.parse(PathPattern::parse)?;
    let ours = PathPattern::parse(&format!("{prefix}/**"));
    if ours.is_ok_and(|ours| ours.covers(&pattern)) {
        field.invalid(format_args!("can never match: huggate's own endpoints are under {prefix}"));
    }
    Some(pattern)
}

fn methods(field: &Field<'_>) -> Option<Vec<Method>> {
    let list = field.list()?;
    if list.is_empty() {
        field.invalid("matches nothing; leave it out for all methods");
    }
    Some(list.iter().filter_map(method).collect())
}

fn origins(field: &Field<'_>) -> Option<Vec<CorsOrigin>> {
    field.list()?.iter().map(|field| field.parse(CorsOrigin::parse)).collect()
}

fn assertion(field: &Field<'_>) -> Option<AssertionUse> {
    field.parse(|text| match text {
        "both" => Ok(AssertionUse::Both),
        "header" => Ok(AssertionUse::Header),
        "cookie" => Ok(AssertionUse::Cookie),
        "none" => Ok(AssertionUse::None),
        _ => Err("is not a valid value; write \"both\", \"header\", \"cookie\" or \"none\""),
    })
}

pub(crate) fn method(field: &Field<'_>) -> Option<Method> {
    field.parse(|text| {
        if text.bytes().any(|byte| byte.is_ascii_lowercase()) {
            return Err(format!("is not a method; write it in capitals, \"{}\"", text.to_ascii_uppercase()));
        }
        Method::from_bytes(text.as_bytes()).map_err(|_| "is not a method".to_owned())
    })
}

fn access(table: &Table<'_>) -> Option<RouteAccess> {
    let public = table.field("public");
    let is_public = public.as_ref().map_or(Some(false), Field::flag);
    let allow = table.field("allow").map(|field| rules::access(&field).map(RouteAccess::Own));
    match (is_public?, allow) {
        (true, Some(_)) => {
            public?.problem("contradicts `allow`; remove one of the two");
            None
        }
        (true, None) => Some(RouteAccess::Public),
        (false, Some(own)) => own,
        (false, None) => Some(RouteAccess::Inherited),
    }
}

/// The route's upstream, for comparing it with others: the first URL, with the others in its
/// fragment.
fn upstream(field: &Field<'_>) -> Option<Url> {
    let fields = field.one_or_more();
    let read: Option<Vec<Url>> = fields.iter().map(one_upstream).collect();
    let mut urls = read?.into_iter();
    let mut first = urls.next()?;
    let others: Vec<String> = urls.map(|url| url.to_string()).collect();
    if !others.is_empty() {
        first.set_fragment(Some(&others.join(" ")));
    }
    Some(first)
}

fn one_upstream(field: &Field<'_>) -> Option<Url> {
    field.parse(|text| {
        #[cfg(feature = "proxy")]
        crate::upstream::UpstreamUrl::parse(text).map_err(|why| why.to_string())?;
        let known = |url: &Url| matches!(url.scheme(), "http" | "https" | "h2c" | "unix");
        let url = Url::parse(text).ok().filter(known);
        // The layer stores the URL without using it; it must not contain a password.
        url.filter(|url| url.username().is_empty() && url.password().is_none()).ok_or_else(|| {
            "is not an http, https or h2c URL, as in http://127.0.0.1:7860, or a socket, as in unix:/run/app.sock"
                .to_owned()
        })
    })
}
