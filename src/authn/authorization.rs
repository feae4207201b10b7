//! The `Authorization` header: its bearer token (RFC 6750, section 2.1), and whether it
//! contains a Hugging Face credential.

use base64::Engine;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use http::header::{AUTHORIZATION, HeaderMap, HeaderValue};

/// The prefix of Hugging Face tokens.
const HF: &[u8] = b"hf_";
/// Basic credentials as servers decode them, with or without padding.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

const TWICE: &str = "There is more than one Authorization header. Send only one.";
const MALFORMED: &str = "The Authorization header is not of the form: Bearer, one space, and the token.";

/// The bearer token of a request, if there is one. Other schemes are left to the app.
///
/// # Errors
/// A sentence for the client, if the header is malformed or repeated.
pub(super) fn bearer_token(headers: &HeaderMap) -> Result<Option<&str>, &'static str> {
    let mut lines = headers.get_all(AUTHORIZATION).iter();
    let Some(line) = lines.next() else { return Ok(None) };
    if lines.next().is_some() {
        return Err(TWICE);
    }
    let Some(credentials) = bearer(line) else { return Ok(None) };
    // RFC 9110, section 11.4: at least one space.
    let start = credentials.iter().position(|byte| *byte != b' ').filter(|start| *start > 0);
    let token = start.and_then(|start| credentials.get(start..)).ok_or(MALFORMED)?;
    let letters = token.iter().rposition(|byte| *byte != b'=').ok_or(MALFORMED)? + 1;
    let letter = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(byte);
    if !token.iter().take(letters).all(letter) {
        return Err(MALFORMED);
    }
    std::str::from_utf8(token).map(Some).map_err(|_| MALFORMED)
}

/// The credentials after the scheme, if it is Bearer in any case.
fn bearer(line: &HeaderValue) -> Option<&[u8]> {
    after_scheme(line, b"bearer")
}

/// The credentials after `scheme`, which ends at the first non-letter.
fn after_scheme<'a>(line: &'a HeaderValue, scheme: &[u8]) -> Option<&'a [u8]> {
    let (name, rest) = line.as_bytes().trim_ascii().split_at_checked(scheme.len())?;
    let ends = rest.first().is_none_or(|byte| !byte.is_ascii_alphanumeric());
    (ends && name.eq_ignore_ascii_case(scheme)).then_some(rest)
}

/// Whether a line contains a Hugging Face token: as a bearer token, or in Basic as the
/// password (as git sends it) or as the username with an empty password.
pub(crate) fn is_hub_credential(line: &HeaderValue) -> bool {
    // Searched for at any position: other parsers of this line may be more lenient.
    if let Some(credentials) = bearer(line) {
        return memchr::memmem::find(credentials, HF).is_some();
    }
    let Some(credentials) = after_scheme(line, b"basic") else { return false };
    let Ok(pair) = LENIENT.decode(credentials.trim_ascii()) else { return false };
    let mut parts = pair.splitn(2, |byte| *byte == b':');
    let (name, password) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    password.starts_with(HF) || (password.is_empty() && name.starts_with(HF))
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::engine::general_purpose::STANDARD;

    fn headers(lines: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(AUTHORIZATION, HeaderValue::from_bytes(line.as_bytes()).unwrap());
        }
        headers
    }

    #[test]
    fn only_the_exact_form_of_rfc_6750_is_accepted() {
        for (lines, expected) in [
            (vec![], Ok(None)),
            (vec!["Bearer hf_abc"], Ok(Some("hf_abc"))),
            (vec!["bEaReR hf_abc"], Ok(Some("hf_abc"))),
            (vec!["Bearer   hf_abc  "], Ok(Some("hf_abc"))),
            (vec!["Bearer a-._~+/=="], Ok(Some("a-._~+/=="))),
            (vec!["Basic YWRhOng="], Ok(None)),
            (vec!["Bearish hf_abc"], Ok(None)),
            (vec!["hf_abc"], Ok(None)),
            (vec![""], Ok(None)),
            (vec!["Bearer"], Err(MALFORMED)),
            (vec!["Bearer "], Err(MALFORMED)),
            (vec!["Bearer\thf_abc"], Err(MALFORMED)),
            (vec!["Bearer \thf_abc"], Err(MALFORMED)),
            (vec!["Bearer=hf_abc"], Err(MALFORMED)),
            (vec!["Bearer: hf_abc"], Err(MALFORMED)),
            (vec!["Bearer hf_abc hf_def"], Err(MALFORMED)),
            (vec!["Bearer hf_abc, Bearer hf_def"], Err(MALFORMED)),
            (vec!["Bearer \"hf_abc\""], Err(MALFORMED)),
            (vec!["Bearer ="], Err(MALFORMED)),
            (vec!["Bearer a=b"], Err(MALFORMED)),
            (vec!["Bearer hf_é"], Err(MALFORMED)),
            (vec!["Bearer hf_abc", "Bearer hf_abc"], Err(TWICE)),
            (vec!["Basic YWRhOng=", "Bearer hf_abc"], Err(TWICE)),
        ] {
            assert_eq!(bearer_token(&headers(&lines)), expected, "{lines:?}");
        }
    }

    #[test]
    fn credentials_of_hugging_face_are_distinguished_from_the_apps_own() {
        let basic = |pair: &str| format!("Basic {}", STANDARD.encode(pair));
        for (line, is) in [
            ("Bearer hf_abc".to_owned(), true),
            ("bearer  hf_abc".to_owned(), true),
            ("Bearer\thf_abc".to_owned(), true),
            ("Bearer x, Bearer hf_abc".to_owned(), true),
            ("Bearer eyJhbGciOi.J9.x".to_owned(), false),
            ("Bearish hf_abc".to_owned(), false),
            (basic("ada:hf_abc"), true),
            (basic("hf_abc:"), true),
            (basic("hf_abc"), true),
            (basic(":hf_abc"), true),
            (basic("ada:hf_abc").replace("Basic", "bASIC").trim_end_matches('=').to_owned(), true),
            (basic("ada:secret"), false),
            (basic("hf_admin:secret"), false),
            ("Basic !!!".to_owned(), false),
            ("Digest username=\"hf_abc\"".to_owned(), false),
        ] {
            assert_eq!(is_hub_credential(&HeaderValue::from_str(&line).unwrap()), is, "{line}");
        }
    }
}
