//! Shorter forms of what is sealed, since it has to fit cookies and URLs.
//!
//! Only [`deflate`] makes a length depend on the content. Where the content is partly
//! somebody else's choice, the length would reveal whether it repeats a secret beside it
//! (CRIME). So secrets are never in the same compressed text as anything else; tokens are
//! packed by [`Packed`], whose length depends on theirs alone.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

/// Shorter texts gain nothing.
const WORTHWHILE: usize = 256;
/// How hard to compress: the best that costs well below a millisecond.
const LEVEL: u8 = 9;

/// `plain`, compressed (RFC 1951); `None` if that is not shorter.
pub(crate) fn deflate(plain: &[u8]) -> Option<Vec<u8>> {
    if plain.len() < WORTHWHILE {
        return None;
    }
    let deflated = miniz_oxide::deflate::compress_to_vec(plain, LEVEL);
    (deflated.len() < plain.len()).then_some(deflated)
}

/// The inverse of [`deflate`]; `None` for a text that is damaged or has more than `limit`
/// bytes.
pub(crate) fn inflate(deflated: &[u8], limit: usize) -> Option<Vec<u8>> {
    miniz_oxide::inflate::decompress_to_vec_with_limit(deflated, limit).ok()
}

/// A text in three quarters of its length if it consists of base64url and dots, as tokens
/// do.
#[derive(Serialize, Deserialize)]
pub(crate) enum Packed {
    Text(String),
    /// The parts between the dots: number of characters, and the characters at six bits
    /// each.
    Parts(Vec<(u32, Vec<u8>)>),
}

impl Packed {
    pub(crate) fn new(text: &str) -> Self {
        let parts: Option<Vec<(u32, Vec<u8>)>> = text.split('.').map(pack).collect();
        parts.map_or_else(|| Self::Text(text.to_owned()), Self::Parts)
    }

    /// `None` for parts that [`Packed::new`] did not make.
    pub(crate) fn unpack(&self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text.clone()),
            Self::Parts(parts) => {
                let parts: Option<Vec<String>> = parts.iter().map(unpack).collect();
                Some(parts?.join("."))
            }
        }
    }
}

fn pack(part: &str) -> Option<(u32, Vec<u8>)> {
    // Filled up with zero bits, so that any number of characters is whole bytes.
    let filled = format!("{part}{}", "A".repeat(part.len().next_multiple_of(4) - part.len()));
    Some((u32::try_from(part.len()).ok()?, URL_SAFE_NO_PAD.decode(filled).ok()?))
}

fn unpack((length, bytes): &(u32, Vec<u8>)) -> Option<String> {
    let text = URL_SAFE_NO_PAD.encode(bytes);
    Some(text.get(..usize::try_from(*length).ok()?)?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_takes_three_quarters_and_any_text_comes_back() {
        for text in ["", ".", "a", "hf_oauth_eyJhbGciOiJFZERTQSJ9.e30.c2ln", "hf_x y", "a..b.", "ü", "a=="] {
            assert_eq!(Packed::new(text).unpack().unwrap(), text);
        }
        let token = format!("hf_oauth_{}.{}", "Z-9_".repeat(100), "q".repeat(301));
        assert!(postcard::to_allocvec(&Packed::new(&token)).unwrap().len() < token.len() * 3 / 4 + 20);
    }

    #[test]
    fn the_length_of_a_packed_token_depends_on_its_length_alone() {
        let length = |text: &str| postcard::to_allocvec(&Packed::new(text)).unwrap().len();
        assert_eq!(length(&"a".repeat(600)), length(&"aZ9-_q".repeat(100)));
    }

    #[test]
    fn what_is_deflated_comes_back_within_the_limit() {
        let plain = "organisation-1,organisation-2,".repeat(40);
        let deflated = deflate(plain.as_bytes()).unwrap();
        assert!(deflated.len() < plain.len() / 4);
        assert_eq!(inflate(&deflated, plain.len()).unwrap(), plain.as_bytes());
        assert!(inflate(&deflated, plain.len() - 1).is_none());
        assert!(deflate(b"short").is_none());
    }
}
