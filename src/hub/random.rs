//! Random values: codes, tokens, tickets, client ids.

use aws_lc_rs::rand;

/// The alphabet of huggingface.co's opaque tokens.
const ALPHANUMERIC: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// Letters and digits that are not easily confused with each other.
const UNAMBIGUOUS: &[u8; 32] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";

/// `length` random letters and digits.
pub(super) fn alphanumeric(length: usize) -> String {
    letters(ALPHANUMERIC, length)
}

/// A user code, `XXXX-XXXX`.
pub(super) fn user_code() -> String {
    format!("{}-{}", letters(UNAMBIGUOUS, 4), letters(UNAMBIGUOUS, 4))
}

/// A random UUID (RFC 9562, section 5.4), the format of huggingface.co's client ids.
pub(super) fn uuid() -> String {
    let mut bytes: [u8; 16] = fill();
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let mut text = hex(&bytes);
    for dash in [8, 13, 18, 23] {
        text.insert(dash, '-');
    }
    text
}

/// Lower-case hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// `length` letters out of `alphabet`. The slight modulo bias does not matter: the values have
/// more than 100 bits to spare.
fn letters(alphabet: &[u8], length: usize) -> String {
    let mut bytes = vec![0_u8; length];
    rand::fill(&mut bytes).expect("the system's random generator works");
    bytes
        .iter()
        .filter_map(|byte| alphabet.get(usize::from(*byte) % alphabet.len()))
        .map(|letter| char::from(*letter))
        .collect()
}

/// Random bytes.
pub(super) fn fill<const N: usize>() -> [u8; N] {
    let mut bytes = [0_u8; N];
    rand::fill(&mut bytes).expect("the system's random generator works");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_values_have_the_documented_format() {
        assert_eq!(alphanumeric(34).len(), 34);
        assert!(alphanumeric(200).bytes().all(|byte| byte.is_ascii_alphanumeric()));
        assert_ne!(alphanumeric(34), alphanumeric(34));
        let id = uuid();
        assert_eq!(id.len(), 36);
        assert_eq!(id.as_bytes()[14], b'4');
        let code = user_code();
        assert_eq!((code.len(), code.as_bytes()[4]), (9, b'-'));
    }
}
