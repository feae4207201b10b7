//! Request parameters: from a query, a form, or a JSON object.

use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use url::form_urlencoded;

/// Names and values in order; a name may occur more than once.
#[derive(Debug, Clone, Default)]
pub(super) struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// Parses `a=1&b=2`, as in a query or a form.
    pub(super) fn from_form(text: &[u8]) -> Self {
        Self(form_urlencoded::parse(text).into_owned().collect())
    }

    /// Parses a request body: a form, or a JSON object, which huggingface.co's token endpoint
    /// accepts as well. `None` for other types.
    pub(super) fn from_body(headers: &HeaderMap, body: &[u8]) -> Option<Self> {
        let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match kind.as_str() {
            "application/x-www-form-urlencoded" => Some(Self::from_form(body)),
            "application/json" => {
                let object: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(body).ok()?;
                let text =
                    |(name, value): (String, serde_json::Value)| Some((name, value.as_str()?.to_owned()));
                Some(Self(object.into_iter().filter_map(text).collect()))
            }
            _ => None,
        }
    }

    /// The first value of `name`; an empty one counts as absent (RFC 6749, section 3.1).
    pub(super) fn find(&self, name: &str) -> Option<&str> {
        self.all(name).next().filter(|value| !value.is_empty())
    }

    /// Every value of `name`.
    pub(super) fn all<'a, 'b>(&'a self, name: &'b str) -> impl Iterator<Item = &'a str> + use<'a, 'b> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// A parameter that occurs twice but must not (RFC 6749, section 3.1). `resource` (RFC
    /// 8707, section 2) and `orgIds` may be repeated.
    pub(super) fn repeated(&self) -> Option<&str> {
        let single = |name: &&str| !["resource", "orgIds"].contains(name);
        let mut names = self.0.iter().map(|(name, _)| name.as_str()).filter(single);
        names.find(|name| self.all(name).count() > 1)
    }
}

/// The raw, still percent-encoded value of `name` in a query.
pub(super) fn raw<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
}

/// Splits a `scope` value (RFC 6749, section 3.3) and removes duplicates.
pub(super) fn scopes(text: &str) -> Vec<String> {
    let mut scopes: Vec<String> = Vec::new();
    for scope in text.split(' ').filter(|scope| !scope.is_empty()) {
        if !scopes.iter().any(|known| known == scope) {
            scopes.push(scope.to_owned());
        }
    }
    scopes
}

/// Percent-encodes a value for a query.
pub(super) fn encode(value: &str) -> String {
    form_urlencoded::byte_serialize(value.as_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_parameters_are_detected() {
        assert_eq!(Parameters::from_form(b"a=1&b=2&a=1").repeated(), Some("a"));
        assert_eq!(Parameters::from_form(b"a=1&b=2").repeated(), None);
        assert_eq!(Parameters::from_form(b"resource=1&resource=2").repeated(), None);
    }

    #[test]
    fn a_raw_value_keeps_its_encoding() {
        assert_eq!(raw("x=1&state=%7b+%7D&y", "state"), Some("%7b+%7D"));
        assert_eq!(raw("mystate=1", "state"), None);
    }

    #[test]
    fn scopes_are_split_and_deduplicated() {
        assert_eq!(scopes(" openid  profile openid"), ["openid", "profile"]);
    }
}
