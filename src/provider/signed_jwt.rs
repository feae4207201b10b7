//! Signed JWTs of the provider (RFC 7515, RFC 7519, RFC 8725): the header, and the signature by
//! a key of its JWKS.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::jwks::Keys;
use crate::clock::UnixTime;

/// The allowed algorithms (RFC 8725, section 3.1). All are asymmetric: `none` and HMAC are
/// rejected, whatever a token or a key says.
const ALGORITHMS: &[(&str, Algorithm)] = &[
    ("RS256", Algorithm::RS256),
    ("RS384", Algorithm::RS384),
    ("RS512", Algorithm::RS512),
    ("PS256", Algorithm::PS256),
    ("PS384", Algorithm::PS384),
    ("PS512", Algorithm::PS512),
    ("ES256", Algorithm::ES256),
    ("ES384", Algorithm::ES384),
    ("EdDSA", Algorithm::EdDSA),
];

/// The `typ` of a logout token (OpenID Connect Back-Channel Logout 1.0, section 2.4).
pub(super) const LOGOUT_TYPE: &str = "logout+jwt";
/// The event of a logout token.
pub(super) const LOGOUT_EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// Why a token has no claims that can be trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum JwtError {
    Malformed,
    /// The algorithm, truncated.
    Algorithm(String),
    /// An unsupported critical header parameter.
    Critical,
    Signature,
    /// The claims cannot be read.
    Claims,
}

/// A parsed token; its signature and claims are not verified yet.
pub(super) struct Unverified<'a> {
    token: &'a str,
    algorithm: Algorithm,
    kid: Option<String>,
    media_type: Option<String>,
}

/// The header parameters that are used (RFC 7515, section 4.1).
#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    crit: Option<serde_json::Value>,
}

/// `aud`: one audience, or several.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Audience {
    One(String),
    Several(Vec<String>),
}

impl Audience {
    pub(super) fn list(&self) -> &[String] {
        match self {
            Self::One(audience) => std::slice::from_ref(audience),
            Self::Several(list) => list,
        }
    }

    pub(super) fn names(&self, client_id: &str) -> bool {
        self.list().iter().any(|audience| audience == client_id)
    }
}

/// A `NumericDate` (RFC 7519, section 2), which may have a fraction.
#[derive(Deserialize, Clone, Copy)]
pub(super) struct Seconds(pub(super) f64);

impl Seconds {
    /// Whole seconds; `None` if out of range.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the range is checked, and the fraction does not matter"
    )]
    pub(super) fn whole(self) -> Option<UnixTime> {
        (self.0.is_finite() && self.0 >= 0.0 && self.0 < 1e11).then_some(self.0 as UnixTime)
    }
}

/// Parses the header and rejects tokens that can never be accepted.
pub(super) fn parse(token: &str) -> Result<Unverified<'_>, JwtError> {
    let mut parts = token.split('.');
    let (Some(header), Some(_), Some(signature), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(JwtError::Malformed);
    };
    if signature.is_empty() {
        return Err(JwtError::Malformed);
    }
    let header = URL_SAFE_NO_PAD.decode(header).map_err(|_| JwtError::Malformed)?;
    let header: Header = serde_json::from_slice(&header).map_err(|_| JwtError::Malformed)?;
    // RFC 7515, section 4.1.11: a token with an unsupported critical header parameter is
    // invalid, and none is supported.
    if header.crit.is_some() {
        return Err(JwtError::Critical);
    }
    let Some((_, algorithm)) = ALGORITHMS.iter().find(|(name, _)| *name == header.alg) else {
        return Err(JwtError::Algorithm(header.alg.chars().take(16).collect()));
    };
    Ok(Unverified { token, algorithm: *algorithm, kid: header.kid, media_type: header.typ })
}

impl Unverified<'_> {
    /// The key id in the header.
    pub(super) fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// The algorithm in the header.
    pub(super) fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// `typ` in lower case, without the `application/` that may be left out (RFC 7515, section
    /// 4.1.9).
    pub(super) fn media_type(&self) -> Option<String> {
        let media_type = self.media_type.as_ref()?.to_ascii_lowercase();
        Some(media_type.strip_prefix("application/").map_or(media_type.clone(), str::to_owned))
    }

    /// The claims, if one of the keys verifies the signature.
    pub(super) fn claims<C: DeserializeOwned>(&self, keys: &Keys) -> Result<C, JwtError> {
        let (message, signature) = self.token.rsplit_once('.').ok_or(JwtError::Malformed)?;
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| JwtError::Signature)?;
        for key in keys.candidates(self.kid()) {
            let agreed =
                key.common.key_algorithm.is_none_or(|named| named.to_string() == name(self.algorithm));
            let Ok(key) = DecodingKey::from_jwk(key) else { continue };
            if !agreed || key.family() != self.algorithm.family() {
                continue;
            }
            // The provider is named: the functions of `jsonwebtoken` use one that they install
            // for the whole process, which is the embedder's choice.
            let Ok(verifier) = (DEFAULT_PROVIDER.verifier_factory)(&self.algorithm, &key) else { continue };
            // Without a kid, another key may verify it.
            if verifier.verify(message.as_bytes(), &signature).is_ok() {
                return claims(message);
            }
        }
        Err(JwtError::Signature)
    }
}

/// The claims of a token whose signature was verified.
fn claims<C: DeserializeOwned>(message: &str) -> Result<C, JwtError> {
    let (_, claims) = message.split_once('.').ok_or(JwtError::Malformed)?;
    let claims = URL_SAFE_NO_PAD.decode(claims).map_err(|_| JwtError::Claims)?;
    serde_json::from_slice(&claims).map_err(|_| JwtError::Claims)
}

fn name(algorithm: Algorithm) -> &'static str {
    ALGORITHMS.iter().find(|(_, listed)| *listed == algorithm).map_or("", |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(header: &str) -> String {
        format!("{}.{}.c2ln", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode("{}"))
    }

    #[test]
    fn unsafe_algorithms_are_rejected_before_any_key_is_tried() {
        for algorithm in ["none", "None", "HS256", "HS512", "rs256", "", "ES256K"] {
            let token = token(&format!(r#"{{"alg":"{algorithm}"}}"#));
            assert_eq!(parse(&token).err(), Some(JwtError::Algorithm(algorithm.to_owned())), "{algorithm}");
        }
        assert_eq!(parse(&token(r#"{"alg":"RS256","crit":["b64"]}"#)).err(), Some(JwtError::Critical));
        assert!(parse(&token(r#"{"alg":"RS256"}"#)).is_ok());
        for garbage in ["", ".", "a.b.c.d", "a.b.", "....", "eyJhbGciOiJSUzI1NiJ9.e30"] {
            assert_eq!(parse(garbage).err(), Some(JwtError::Malformed), "{garbage}");
        }
    }

    #[test]
    fn the_media_type_is_compared_without_its_prefix_and_case() {
        for (typ, expected) in [("LOGOUT+jwt", LOGOUT_TYPE), ("application/logout+JWT", LOGOUT_TYPE)] {
            let token = token(&format!(r#"{{"alg":"RS256","typ":"{typ}"}}"#));
            assert_eq!(parse(&token).unwrap().media_type().as_deref(), Some(expected));
        }
    }
}
