//! `[identity]`: headers and assertion for the app.

use http::header::HeaderName;

use super::reader::{Field, Table};
use crate::identity::headers::fold;
use crate::identity::{AssertionSettings, Claim, HeaderSettings};

/// Header names with another meaning: connection headers (RFC 9110, section 7.6.1), message and
/// client headers, and other headers that we write.
const RESERVED: &[&str] = &[
    "accept",
    "accept-encoding",
    "authorization",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "date",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "max-forwards",
    "origin",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "range",
    "referer",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "via",
    "x-forwarded-access-token",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
];

const MAX_GROUPS_BYTES: usize = 64 * 1024;

pub(super) fn read(root: &Table<'_>) -> (HeaderSettings, AssertionSettings) {
    let table = root.table("identity");
    let mut headers = HeaderSettings::default();
    let mut assertion = AssertionSettings::default();
    if let Some(flag) = table.field("assertion").and_then(|field| field.flag()) {
        assertion.enabled = flag;
    }
    if let Some(flag) = table.field("access_token").and_then(|field| field.flag()) {
        headers.access_token = flag;
    }
    if let Some(bytes) = table.field("groups_bytes").and_then(|field| groups_bytes(&field)) {
        headers.groups_bytes = bytes;
    }
    // Defaults that are not overridden reserve their names.
    let (given, carrier) = (table.field("headers"), table.field("assertion_header"));
    let mut names = Names::default();
    if carrier.is_none() {
        names.0.extend(assertion.headers.iter().cloned());
    }
    match given {
        Some(field) => headers.claims = claims(&field, &mut names),
        None => names.0.extend(headers.claims.iter().map(|(name, _)| name.clone())),
    }
    if let Some(field) = carrier {
        let fields = field.one_or_more();
        if fields.is_empty() {
            field.invalid("names no header; to disable the assertion, write assertion = false");
        }
        assertion.headers = fields.iter().filter_map(|field| names.take(field, field.text()?)).collect();
    }
    (headers, assertion)
}

/// More than a request's head can hold is a mistake.
fn groups_bytes(field: &Field<'_>) -> Option<usize> {
    let size = field.size()?;
    let bytes = usize::try_from(size).ok().filter(|bytes| *bytes <= MAX_GROUPS_BYTES);
    if bytes.is_none() {
        field.invalid("is more than an app server accepts; it must be at most 64KiB");
    }
    bytes
}

/// `[identity.headers]` replaces the default set.
fn claims(field: &Field<'_>, names: &mut Names) -> Vec<(HeaderName, Claim)> {
    let Some(table) = field.as_table() else {
        field.invalid("is not a table; write it like X-Forwarded-User = \"sub\" under [identity.headers]");
        return Vec::new();
    };
    let mut claims = Vec::new();
    for (name, field) in table.fields() {
        let name = names.take(&field, name);
        let claim = field.parse(|text| {
            let claim = Claim::ALL.into_iter().find(|claim| claim.as_str() == text);
            claim.ok_or_else(|| {
                let known: Vec<&str> = Claim::ALL.iter().map(|claim| claim.as_str()).collect();
                format!("is not a claim; the claims are {}", known.join(", "))
            })
        });
        if let (Some(name), Some(claim)) = (name, claim) {
            claims.push((name, claim));
        }
    }
    claims
}

/// The header names used so far. Names that app servers fold together (case, `-`, `_`, `.`)
/// would overwrite each other.
#[derive(Default)]
struct Names(Vec<HeaderName>);

impl Names {
    /// Parses and reserves a header name.
    fn take(&mut self, field: &Field<'_>, text: &str) -> Option<HeaderName> {
        let Ok(name) = HeaderName::from_bytes(text.as_bytes()) else {
            field.problem(format!("{text:?} is not a header name; use letters, digits and -"));
            return None;
        };
        let reserved = RESERVED.iter().any(|reserved| same(reserved, name.as_str()))
            || name.as_str().starts_with("sec-")
            || name.as_str().starts_with("access-control-");
        if reserved {
            field.problem(format!("{text} has another meaning; use a name like X-Forwarded-User"));
            return None;
        }
        if let Some(earlier) = self.0.iter().find(|earlier| same(earlier.as_str(), name.as_str())) {
            field.problem(format!("{text} is the same header as {earlier} to an app; use another name"));
            return None;
        }
        self.0.push(name.clone());
        Some(name)
    }
}

fn same(one: &str, other: &str) -> bool {
    let (mut a, mut b) = ([0; 256], [0; 256]);
    fold(one, &mut a) == fold(other, &mut b)
}
