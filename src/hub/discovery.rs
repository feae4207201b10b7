//! Discovery documents (OpenID Connect Discovery; RFC 8414) and the JWKS.

use axum::Json;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use super::json::{Object, set};
use super::state::Shared;

/// huggingface.co's document as of June 2026, byte for byte, with `{}` for the issuer. It does
/// not announce the auth method `none`, although public clients work.
const DOCUMENT: &str = concat!(
    r#"{"issuer":"{}","#,
    r#""registration_endpoint":"{}/oauth/register","#,
    r#""token_endpoint":"{}/oauth/token","#,
    r#""authorization_endpoint":"{}/oauth/authorize","#,
    r#""userinfo_endpoint":"{}/oauth/userinfo","#,
    r#""device_authorization_endpoint":"{}/oauth/device","#,
    r#""jwks_uri":"{}/oauth/jwks","#,
    r#""response_types_supported":["code"],"#,
    r#""response_modes_supported":["query"],"#,
    r#""id_token_signing_alg_values_supported":["RS256"],"#,
    r#""subject_types_supported":["public"],"#,
    r#""code_challenge_methods_supported":["S256"],"#,
    r#""token_endpoint_auth_methods_supported":["client_secret_basic","client_secret_post"],"#,
    r#""client_id_metadata_supported":true,"#,
    r#""grant_types_supported":["urn:ietf:params:oauth:grant-type:token-exchange","#,
    r#""urn:ietf:params:oauth:grant-type:device_code","authorization_code","refresh_token"]}"#,
);

/// `GET /.well-known/openid-configuration` and `…/oauth-authorization-server`.
pub(super) async fn document(State(hub): State<Shared>) -> Response {
    let text = DOCUMENT.replace("{}", &hub.issuer);
    let behaviour = hub.state().behaviour.clone();
    let mut changes = Object::new();
    if let Some(issuer) = &behaviour.discovery_issuer {
        set(&mut changes, "issuer", issuer.as_str());
    }
    if let Some(methods) = &behaviour.token_auth_methods {
        set(&mut changes, "token_endpoint_auth_methods_supported", methods.as_slice());
    }
    if behaviour.announce_iss {
        set(&mut changes, "authorization_response_iss_parameter_supported", true);
    }
    if changes.is_empty() && behaviour.edit_discovery.is_none() {
        return ([(CONTENT_TYPE, "application/json")], text).into_response();
    }
    let mut document: Object = serde_json::from_str(&text).unwrap_or_default();
    document.extend(changes);
    if let Some(edit) = &behaviour.edit_discovery {
        edit.apply(&mut document);
    }
    Json(Value::Object(document)).into_response()
}

/// `GET /oauth/jwks`.
pub(super) async fn jwks(State(hub): State<Shared>) -> Json<Value> {
    Json(hub.state().keys.jwks())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_is_valid_json_with_the_fields_of_the_real_one() {
        let document: Object = serde_json::from_str(&DOCUMENT.replace("{}", "http://127.0.0.1:1")).unwrap();
        assert_eq!(document.len(), 15);
        assert_eq!(document["token_endpoint"], "http://127.0.0.1:1/oauth/token");
        assert_eq!(document["grant_types_supported"].as_array().unwrap().len(), 4);
    }
}
