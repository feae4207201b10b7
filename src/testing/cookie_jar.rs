//! The cookies of a browser, as far as one app sets them.

use std::fmt;

use cookie::Cookie;
use http::header::{COOKIE, HeaderMap, HeaderValue, SET_COOKIE};

/// Names and values, in the order they came.
#[derive(Clone, Default)]
pub(super) struct CookieJar {
    pairs: Vec<(String, String)>,
}

impl CookieJar {
    /// Stores what a response sets, and removes what it removes (RFC 6265, section 5.3).
    pub(super) fn store(&mut self, response: &HeaderMap) {
        let lines = response.get_all(SET_COOKIE).iter().filter_map(|line| line.to_str().ok());
        for cookie in lines.filter_map(|line| Cookie::parse(line).ok()) {
            let removed = cookie.max_age().is_some_and(|age| !age.is_positive());
            let place = self.pairs.iter().position(|(name, _)| name == cookie.name());
            match place {
                Some(place) if removed => drop(self.pairs.remove(place)),
                Some(place) => {
                    if let Some((_, value)) = self.pairs.get_mut(place) {
                        cookie.value().clone_into(value);
                    }
                }
                None if removed => {}
                None => self.pairs.push((cookie.name().to_owned(), cookie.value().to_owned())),
            }
        }
    }

    pub(super) fn remove(&mut self, name: &str) {
        self.pairs.retain(|(known, _)| known != name);
    }

    /// The `Cookie` field, with the cookies of `request` that the jar has no other value for.
    /// `None` if there is no cookie.
    pub(super) fn field(&self, request: &HeaderMap) -> Option<HeaderValue> {
        let lines = request.get_all(COOKIE).iter();
        let given = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b';'));
        let given = given.map(<[u8]>::trim_ascii).filter(|pair| !pair.is_empty() && !self.has(pair));
        let own = self.pairs.iter().map(|(name, value)| format!("{name}={value}").into_bytes());
        let pairs: Vec<Vec<u8>> = given.map(<[u8]>::to_vec).chain(own).collect();
        let mut field =
            HeaderValue::from_bytes(&pairs.join(&b"; "[..])).ok().filter(|line| !line.is_empty())?;
        field.set_sensitive(true);
        Some(field)
    }

    /// Whether the jar has a cookie of the same name as `pair`.
    fn has(&self, pair: &[u8]) -> bool {
        let name = pair.split(|byte| *byte == b'=').next().unwrap_or_default();
        self.pairs.iter().any(|(known, _)| known.as_bytes() == name)
    }
}

impl fmt::Debug for CookieJar {
    /// The values sign somebody in.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.pairs.iter().map(|(name, _)| name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(lines: &[&'static str]) -> HeaderMap {
        lines.iter().map(|line| (SET_COOKIE, HeaderValue::from_static(line))).collect()
    }

    #[test]
    fn cookies_are_stored_replaced_and_removed() {
        let mut jar = CookieJar::default();
        jar.store(&set(&["a=1; Path=/", "b=2; Max-Age=60; HttpOnly", "c=3"]));
        jar.store(&set(&["a=4; Max-Age=60", "b=; Max-Age=0"]));
        assert_eq!(jar.field(&HeaderMap::new()).unwrap(), "a=4; c=3");
        assert_eq!(CookieJar::default().field(&HeaderMap::new()), None);
    }

    #[test]
    fn cookies_of_the_request_are_kept_unless_the_jar_has_them() {
        let mut jar = CookieJar::default();
        jar.store(&set(&["session=new"]));
        let mut request = HeaderMap::new();
        request.append(COOKIE, HeaderValue::from_static("theme=dark; session=old;"));
        request.append(COOKIE, HeaderValue::from_bytes(b"name=J\xf6rg").unwrap());
        let field = jar.field(&request).unwrap();
        assert_eq!(field.as_bytes(), b"theme=dark; name=J\xf6rg; session=new");
        assert!(field.is_sensitive());
    }

    #[test]
    fn debug_output_hides_the_values() {
        let mut jar = CookieJar::default();
        jar.store(&set(&["session=secret"]));
        assert_eq!(format!("{jar:?}"), r#"["session"]"#);
    }
}
