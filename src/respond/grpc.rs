//! Answers for gRPC clients, which evaluate only `grpc-status`.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION};
use http::{Response, StatusCode};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::Value;

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
/// The characters that are encoded in `grpc-message`; non-ASCII characters always are.
const NOT_IN_MESSAGE: &AsciiSet = &CONTROLS.add(b'%');

/// Translates `response` for a gRPC client; `kind` is the `Content-Type` of its request.
/// Other clients get `response` unchanged.
///
///
/// The answer is "trailers-only": 200, the status among the headers, no body. Statuses
/// are mapped as in gRPC's `http-grpc-status-mapping.md`; those that it leaves open get
/// the closest gRPC status.
pub(crate) fn adapt(kind: Option<&HeaderValue>, response: Response<Bytes>) -> Response<Bytes> {
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
    // The encoded text is printable ASCII.
    if let Ok(message) = HeaderValue::from_str(&message) {
        parts.headers.insert(GRPC_MESSAGE, message);
    }
    Response::from_parts(parts, Bytes::new())
}

/// Whether a request is a gRPC client's.
pub(crate) fn is_grpc_request(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(is_grpc)
}

/// Whether this `Content-Type` is gRPC's: `application/grpc`, `application/grpc+proto`.
pub(crate) fn is_grpc(kind: &HeaderValue) -> bool {
    const NAME: &[u8] = b"application/grpc";
    kind.as_bytes().split_at_checked(NAME.len()).is_some_and(|(name, rest)| {
        name.eq_ignore_ascii_case(NAME) && matches!(rest, [] | [b'+' | b'-' | b';' | b' ', ..])
    })
}

/// The error description of one of the gate's answers.
fn sentence(response: &Response<Bytes>) -> String {
    let document: Option<Value> = serde_json::from_slice(response.body()).ok();
    let said = document.as_ref().and_then(|document| {
        let description = document.get("error_description");
        description.or_else(|| document.get("error")?.get("message"))?.as_str()
    });
    said.or(response.status().canonical_reason()).unwrap_or("refused").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::respond::{answer, openai};
    use serde_json::json;

    fn refused(status: u16) -> Response<Bytes> {
        let document = json!({"error": "x", "error_description": "100 % für dich\n"});
        answer::json(StatusCode::from_u16(status).unwrap(), &document)
    }

    #[test]
    fn a_grpc_client_gets_a_grpc_status() {
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
            let response = adapt(Some(&kind), refused(status));
            assert_eq!(response.status(), 200);
            assert!(response.body().is_empty());
            let header = |name: &str| response.headers().get(name).unwrap().to_str().unwrap();
            assert_eq!(header("grpc-status"), expected, "{status}");
            assert_eq!(header("grpc-message"), "100 %25 f%C3%BCr dich%0A");
            assert_eq!(header("content-type"), "application/grpc+proto");
        }
        let openai = openai::adapt(true, refused(503));
        let response = adapt(Some(&kind), openai);
        assert_eq!(response.headers()["grpc-message"], "100 %25 f%C3%BCr dich%0A");
        let page = adapt(Some(&kind), answer::text(StatusCode::BAD_GATEWAY, "no JSON"));
        assert_eq!(page.headers()["grpc-message"], "Bad Gateway");
    }

    #[test]
    fn other_answers_are_unchanged() {
        for kind in [None, Some("application/json"), Some("application/grpcx"), Some("application/grp")] {
            let kind = kind.map(HeaderValue::from_static);
            assert_eq!(adapt(kind.as_ref(), refused(403)).status(), 403, "{kind:?}");
        }
        let kind = HeaderValue::from_static("application/grpc");
        let fine = adapt(Some(&kind), answer::json(StatusCode::OK, &json!({})));
        assert!(!fine.headers().contains_key("grpc-status"));
    }
}
