//! The Huffman code of HPACK (RFC 7541, appendix B).

use std::sync::LazyLock;

/// The symbol that ends no string: only padding has its first bits.
const EOS: u16 = 256;
const SHORTEST: usize = 5;
const LONGEST: usize = 30;

/// The length in bits of each symbol's code. Codes ascend with length, then with the symbol,
/// so the lengths say everything.
#[rustfmt::skip]
const LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28,
    28, 28, 28, 28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
    5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7,
    7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20, 22, 22, 23, 23, 21,
    23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24,
    21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, 30,
];

/// A text is not Huffman-coded.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct InvalidCode;

/// The codes of one length.
#[derive(Debug, Clone, Copy, Default)]
struct Codes {
    first: u64,
    /// The index of the first one's symbol.
    index: u64,
    count: u64,
}

struct Table {
    /// By code.
    symbols: Vec<u16>,
    codes: [Codes; LONGEST + 1],
}

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let mut symbols: Vec<u16> = (0..=EOS).collect();
    let length = |symbol: u16| LENGTHS.get(usize::from(symbol)).copied().unwrap_or_default();
    symbols.sort_by_key(|symbol| (length(*symbol), *symbol));
    let mut codes = [Codes::default(); LONGEST + 1];
    let (mut first, mut index) = (0, 0);
    for (bits, of_length) in codes.iter_mut().enumerate() {
        let count = LENGTHS.iter().filter(|length| usize::from(**length) == bits).count() as u64;
        *of_length = Codes { first, index, count };
        first = (first + count) << 1;
        index += count;
    }
    Table { symbols, codes }
});

/// Appends the decoded text.
pub(super) fn decode(mut text: &[u8], decoded: &mut Vec<u8>) -> Result<(), InvalidCode> {
    let table = &*TABLE;
    // The next bits, from the highest one down.
    let (mut window, mut available) = (0_u64, 0_usize);
    loop {
        while available <= 56
            && let Some((byte, rest)) = text.split_first()
        {
            window |= u64::from(*byte) << (56 - available);
            available += 8;
            text = rest;
        }
        if available == 0 {
            return Ok(());
        }
        let found = (SHORTEST..=LONGEST).find_map(|bits| {
            let codes = table.codes.get(bits)?;
            let offset = (window >> (64 - bits)).checked_sub(codes.first)?;
            (offset < codes.count).then_some((bits, codes.index + offset))
        });
        let (bits, index) = found.ok_or(InvalidCode)?;
        if bits > available {
            // At the end of the text: padding with ones.
            let is_padding = available < 8 && window >> (64 - available) == (1 << available) - 1;
            return if is_padding { Ok(()) } else { Err(InvalidCode) };
        }
        let symbol = usize::try_from(index).ok().and_then(|index| table.symbols.get(index));
        decoded.push(symbol.and_then(|symbol| u8::try_from(*symbol).ok()).ok_or(InvalidCode)?);
        window <<= bits;
        available -= bits;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(text: &[u8]) -> Result<Vec<u8>, InvalidCode> {
        let mut decoded = Vec::new();
        decode(text, &mut decoded).map(|()| decoded)
    }

    #[test]
    fn the_examples_of_the_rfc_are_decoded() {
        // RFC 7541, appendix C.4 and C.6.
        for (code, text) in [
            (&b"\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff"[..], "www.example.com"),
            (b"\xa8\xeb\x10\x64\x9c\xbf", "no-cache"),
            (b"\x25\xa8\x49\xe9\x5b\xa9\x7d\x7f", "custom-key"),
            (
                b"\x9d\x29\xad\x17\x18\x63\xc7\x8f\x0b\x97\xc8\xe9\xae\x82\xae\x43\xd3",
                "https://www.example.com",
            ),
            (b"", ""),
        ] {
            assert_eq!(decoded(code).unwrap(), text.as_bytes());
        }
    }

    #[test]
    fn padding_is_shorter_than_a_byte_and_of_ones() {
        assert_eq!(decoded(b"\x1f"), Ok(b"a".to_vec()));
        assert_eq!(decoded(b"\x18"), Err(InvalidCode));
        assert_eq!(decoded(b"\x1f\xff"), Err(InvalidCode));
        assert_eq!(decoded(b"\xff\xff\xff\xff"), Err(InvalidCode), "EOS");
    }
}
