//! How our own answers look on the wire: never cached, never framed, never with
//! a token in them.

use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, LOCATION, REFERRER_POLICY, SET_COOKIE,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderName, Response, StatusCode};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::{Value, json};

use crate::pages::Page;

/// For answers that are no page: nothing may load, nothing may frame them.
const NO_PAGE: &str = "default-src 'none'; frame-ancestors 'none'";

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
/// What a `grpc-message` cannot hold as it is; what is not ASCII is encoded anyway.
const NOT_IN_MESSAGE: &AsciiSet = &CONTROLS.add(b'%');

/// A page.
pub(crate) fn page(status: StatusCode, page: Page) -> Response<Bytes> {
    let framed = page.csp.ends_with('*');
    let mut response = bare(status, Bytes::from(page.html), "text/html; charset=utf-8", page.csp);
    if !framed {
        response.headers_mut().insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    }
    response
}

/// A JSON document.
pub(crate) fn json(status: StatusCode, document: &Value) -> Response<Bytes> {
    bare(status, Bytes::from(document.to_string()), "application/json", NO_PAGE)
}

/// A line of text.
pub(crate) fn text(status: StatusCode, line: &'static str) -> Response<Bytes> {
    bare(status, Bytes::from_static(line.as_bytes()), "text/plain; charset=utf-8", NO_PAGE)
}

/// A redirect with `GET` (RFC 9110, section 15.4.3). The body stays empty: what
/// the app has to say is for those who may enter.
pub(crate) fn redirect(location: &str) -> Response<Bytes> {
    let mut response = bare(StatusCode::FOUND, Bytes::new(), "text/plain; charset=utf-8", NO_PAGE);
    // A location is a URL that a parser wrote; it holds nothing but ASCII.
    let location = HeaderValue::from_str(location).unwrap_or(HeaderValue::from_static("/"));
    response.headers_mut().insert(LOCATION, location);
    response
}

/// The same in the words that the client knows: a refusal in the form of OpenAI's
/// API for those who show nothing else. Everything that the gate or the proxy says
/// to a program passes here.
pub(crate) fn in_words_of(speaks_openai: bool, response: Response<Bytes>) -> Response<Bytes> {
    let status = response.status();
    let kind = match status {
        StatusCode::UNAUTHORIZED => "authentication_error",
        StatusCode::FORBIDDEN => "permission_error",
        _ if status.is_client_error() => "invalid_request_error",
        _ if status.is_server_error() => "server_error",
        _ => return response,
    };
    if !speaks_openai {
        return response;
    }
    let Ok(Value::Object(mut fields)) = serde_json::from_slice(response.body()) else { return response };
    let (Some(code), Some(message)) = (fields.remove("error"), fields.remove("error_description")) else {
        return response;
    };
    // What else there was, such as an address to open, stays beside it.
    fields.extend([
        ("message".to_owned(), message),
        ("type".to_owned(), kind.into()),
        ("param".to_owned(), Value::Null),
        ("code".to_owned(), code),
    ]);
    response.map(|_| Bytes::from(json!({"error": fields}).to_string()))
}

/// The same for a gRPC client, which looks at nothing but `grpc-status`; `kind` is
/// the `Content-Type` of its request. Any other client gets `response` as it is.
///
/// The answer is "trailers-only": 200, the status among the headers, no body. Which
/// status stands for which is in gRPC's `http-grpc-status-mapping.md`; what that
/// leaves open says as much as the HTTP status did.
pub(crate) fn for_grpc(kind: Option<&HeaderValue>, response: Response<Bytes>) -> Response<Bytes> {
    let Some(kind) = kind.filter(|kind| is_grpc(kind)) else { return response };
    if response.status().is_success() || response.status().is_informational() {
        return response;
    }
    let grpc_status = match response.status().as_u16() {
        400 => "13",
        401 => "16",
        403 => "7",
        404 => "12",
        408 | 504 => "4",
        413 => "8",
        429 | 502 | 503 => "14",
        _ => "2",
    };
    let message = utf8_percent_encode(&sentence(&response), NOT_IN_MESSAGE).to_string();
    let (mut parts, _) = response.into_parts();
    parts.status = StatusCode::OK;
    parts.headers.remove(LOCATION);
    parts.headers.insert(CONTENT_TYPE, kind.clone());
    parts.headers.insert(GRPC_STATUS, HeaderValue::from_static(grpc_status));
    // Encoded it is all printable ASCII.
    if let Ok(message) = HeaderValue::from_str(&message) {
        parts.headers.insert(GRPC_MESSAGE, message);
    }
    Response::from_parts(parts, Bytes::new())
}

/// Whether this `Content-Type` is gRPC's: `application/grpc`, `application/grpc+proto`.
pub(crate) fn is_grpc(kind: &HeaderValue) -> bool {
    const NAME: &[u8] = b"application/grpc";
    kind.as_bytes().split_at_checked(NAME.len()).is_some_and(|(name, rest)| {
        name.eq_ignore_ascii_case(NAME) && matches!(rest, [] | [b'+' | b'-' | b';' | b' ', ..])
    })
}

/// What an answer of ours says, in a sentence.
fn sentence(response: &Response<Bytes>) -> String {
    let document: Option<Value> = serde_json::from_slice(response.body()).ok();
    let said = document.as_ref().and_then(|document| {
        let description = document.get("error_description");
        description.or_else(|| document.get("error")?.get("message"))?.as_str()
    });
    said.or(response.status().canonical_reason()).unwrap_or("refused").to_owned()
}

/// With these `Set-Cookie` lines.
pub(crate) fn with_cookies(
    mut response: Response<Bytes>,
    lines: impl IntoIterator<Item = HeaderValue>,
) -> Response<Bytes> {
    for line in lines {
        response.headers_mut().append(SET_COOKIE, line);
    }
    response
}

fn bare(
    status: StatusCode,
    body: Bytes,
    content_type: &'static str,
    policy: &'static str,
) -> Response<Bytes> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // Not `no-referrer`: under it our own form would send `Origin: null`.
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16) -> Response<Bytes> {
        let document = json!({"error": "x", "error_description": "100 % für dich\n"});
        json(StatusCode::from_u16(status).unwrap(), &document)
    }

    #[test]
    fn a_grpc_client_gets_its_own_status() {
        let kind = HeaderValue::from_static("application/grpc+proto");
        for (status, expected) in [
            (400, "13"),
            (401, "16"),
            (403, "7"),
            (404, "12"),
            (408, "4"),
            (413, "8"),
            (429, "14"),
            (500, "2"),
            (502, "14"),
            (503, "14"),
            (504, "4"),
            (302, "2"),
        ] {
            let response = for_grpc(Some(&kind), refused(status));
            assert_eq!(response.status(), 200);
            assert!(response.body().is_empty());
            let header = |name: &str| response.headers().get(name).unwrap().to_str().unwrap();
            assert_eq!(header("grpc-status"), expected, "{status}");
            assert_eq!(header("grpc-message"), "100 %25 f%C3%BCr dich%0A");
            assert_eq!(header("content-type"), "application/grpc+proto");
        }
        let openai = in_words_of(true, refused(503));
        let response = for_grpc(Some(&kind), openai);
        assert_eq!(response.headers()["grpc-message"], "100 %25 f%C3%BCr dich%0A");
        let page = for_grpc(Some(&kind), text(StatusCode::BAD_GATEWAY, "no JSON"));
        assert_eq!(page.headers()["grpc-message"], "Bad Gateway");
    }

    #[test]
    fn any_other_answer_stays_as_it_is() {
        for kind in [None, Some("application/json"), Some("application/grpcx"), Some("application/grp")] {
            let kind = kind.map(HeaderValue::from_static);
            assert_eq!(for_grpc(kind.as_ref(), refused(403)).status(), 403, "{kind:?}");
        }
        let kind = HeaderValue::from_static("application/grpc");
        let fine = for_grpc(Some(&kind), json(StatusCode::OK, &json!({})));
        assert!(!fine.headers().contains_key("grpc-status"));
    }
}
