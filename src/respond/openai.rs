//! Errors in the format of OpenAI's API, for libraries that show no other.

use bytes::Bytes;
use http::{Response, StatusCode};
use serde_json::{Value, json};

/// Translates `response` to the format of OpenAI's errors, if the client is one of its
/// libraries (`speaks_openai`) and the response is an error of the gate or the proxy.
pub(crate) fn adapt(speaks_openai: bool, response: Response<Bytes>) -> Response<Bytes> {
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
    // Other fields, such as a URL to open, are kept.
    fields.extend([
        ("message".to_owned(), message),
        ("type".to_owned(), kind.into()),
        ("param".to_owned(), Value::Null),
        ("code".to_owned(), code),
    ]);
    response.map(|_| Bytes::from(json!({"error": fields}).to_string()))
}
