//! Decodes header blocks (HPACK, RFC 7541), and encodes them without a dynamic table.

use std::collections::VecDeque;

use super::huffman;

/// `SETTINGS_HEADER_TABLE_SIZE`, which the server leaves at its default.
const TABLE_SIZE: usize = 4096;
/// What an entry costs besides its name and value (RFC 7541, section 4.1).
const ENTRY_OVERHEAD: usize = 32;

#[rustfmt::skip]
const STATIC_TABLE: [(&[u8], &[u8]); 61] = [
    (b":authority", b""),
    (b":method", b"GET"),
    (b":method", b"POST"),
    (b":path", b"/"),
    (b":path", b"/index.html"),
    (b":scheme", b"http"),
    (b":scheme", b"https"),
    (b":status", b"200"),
    (b":status", b"204"),
    (b":status", b"206"),
    (b":status", b"304"),
    (b":status", b"400"),
    (b":status", b"404"),
    (b":status", b"500"),
    (b"accept-charset", b""),
    (b"accept-encoding", b"gzip, deflate"),
    (b"accept-language", b""),
    (b"accept-ranges", b""),
    (b"accept", b""),
    (b"access-control-allow-origin", b""),
    (b"age", b""),
    (b"allow", b""),
    (b"authorization", b""),
    (b"cache-control", b""),
    (b"content-disposition", b""),
    (b"content-encoding", b""),
    (b"content-language", b""),
    (b"content-length", b""),
    (b"content-location", b""),
    (b"content-range", b""),
    (b"content-type", b""),
    (b"cookie", b""),
    (b"date", b""),
    (b"etag", b""),
    (b"expect", b""),
    (b"expires", b""),
    (b"from", b""),
    (b"host", b""),
    (b"if-match", b""),
    (b"if-modified-since", b""),
    (b"if-none-match", b""),
    (b"if-range", b""),
    (b"if-unmodified-since", b""),
    (b"last-modified", b""),
    (b"link", b""),
    (b"location", b""),
    (b"max-forwards", b""),
    (b"proxy-authenticate", b""),
    (b"proxy-authorization", b""),
    (b"range", b""),
    (b"referer", b""),
    (b"refresh", b""),
    (b"retry-after", b""),
    (b"server", b""),
    (b"set-cookie", b""),
    (b"strict-transport-security", b""),
    (b"transfer-encoding", b""),
    (b"user-agent", b""),
    (b"vary", b""),
    (b"via", b""),
    (b"www-authenticate", b""),
];

/// A block cannot be decoded: the dynamic tables of both sides differ from now on.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct InvalidBlock;

/// A name and a value.
type Field = (Box<[u8]>, Box<[u8]>);

/// Decodes the header blocks of one connection.
#[derive(Debug)]
pub(super) struct Decoder {
    /// The newest first.
    table: VecDeque<Field>,
    size: usize,
    max_size: usize,
    /// For Huffman-coded texts.
    name: Vec<u8>,
    value: Vec<u8>,
}

impl Default for Decoder {
    fn default() -> Self {
        Self { table: VecDeque::new(), size: 0, max_size: TABLE_SIZE, name: Vec::new(), value: Vec::new() }
    }
}

impl Decoder {
    /// Calls `field` with the name and the value of each field.
    pub(super) fn decode(
        &mut self,
        mut block: &[u8],
        mut field: impl FnMut(&[u8], &[u8]),
    ) -> Result<(), InvalidBlock> {
        let mut may_resize = true;
        while let Some(first) = block.first().copied() {
            if first & 0x80 != 0 {
                let index = integer(&mut block, 7)?;
                let (name, value) = self.entry(index).ok_or(InvalidBlock)?;
                field(name, value);
            } else if first & 0xe0 == 0x20 {
                let size = integer(&mut block, 5)?;
                if !may_resize || size > TABLE_SIZE {
                    return Err(InvalidBlock);
                }
                self.max_size = size;
                self.evict(0);
                continue;
            } else {
                let is_indexed = first & 0x40 != 0;
                self.literal(&mut block, if is_indexed { 6 } else { 4 }, is_indexed, &mut field)?;
            }
            may_resize = false;
        }
        Ok(())
    }

    fn literal(
        &mut self,
        block: &mut &[u8],
        prefix: u32,
        is_indexed: bool,
        field: &mut impl FnMut(&[u8], &[u8]),
    ) -> Result<(), InvalidBlock> {
        let index = integer(block, prefix)?;
        // Taken, because an entry of the table is borrowed beside them.
        let (mut name_buffer, mut value_buffer) =
            (std::mem::take(&mut self.name), std::mem::take(&mut self.value));
        let name = match index {
            0 => string(block, &mut name_buffer)?,
            index => self.entry(index).ok_or(InvalidBlock)?.0,
        };
        let value = string(block, &mut value_buffer)?;
        field(name, value);
        if is_indexed {
            let entry = (Box::from(name), Box::from(value));
            self.insert(entry);
        }
        (self.name, self.value) = (name_buffer, value_buffer);
        Ok(())
    }

    fn entry(&self, index: usize) -> Option<(&[u8], &[u8])> {
        let index = index.checked_sub(1)?;
        if let Some((name, value)) = STATIC_TABLE.get(index) {
            return Some((*name, *value));
        }
        self.table.get(index - STATIC_TABLE.len()).map(|(name, value)| (&**name, &**value))
    }

    fn insert(&mut self, entry: Field) {
        let size = entry.0.len() + entry.1.len() + ENTRY_OVERHEAD;
        self.evict(size);
        // One that is too large empties the table (RFC 7541, section 4.4).
        if size <= self.max_size {
            self.size += size;
            self.table.push_front(entry);
        }
    }

    /// Removes the oldest entries until `room` bytes are free, or none is left.
    fn evict(&mut self, room: usize) {
        while self.size + room > self.max_size
            && let Some((name, value)) = self.table.pop_back()
        {
            self.size -= name.len() + value.len() + ENTRY_OVERHEAD;
        }
    }
}

/// Reads an integer whose first byte has a prefix of as many bits (RFC 7541, section 5.1).
fn integer(block: &mut &[u8], prefix: u32) -> Result<usize, InvalidBlock> {
    let mut next = || {
        let (byte, rest) = block.split_first().ok_or(InvalidBlock)?;
        *block = rest;
        Ok(usize::from(*byte))
    };
    let mask = (1 << prefix) - 1;
    let mut value = next()? & mask;
    if value < mask {
        return Ok(value);
    }
    // At most as many bytes as h2 takes.
    for shift in [0, 7, 14, 21] {
        let byte = next()?;
        value += (byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(InvalidBlock)
}

/// Reads a text; `buffer` holds one that is Huffman-coded.
fn string<'t, 'b: 't>(block: &mut &'b [u8], buffer: &'t mut Vec<u8>) -> Result<&'t [u8], InvalidBlock> {
    let is_coded = block.first().is_some_and(|first| first & 0x80 != 0);
    let length = integer(block, 7)?;
    let (text, rest) = block.split_at_checked(length).ok_or(InvalidBlock)?;
    *block = rest;
    if !is_coded {
        return Ok(text);
    }
    buffer.clear();
    huffman::decode(text, buffer).map_err(|huffman::InvalidCode| InvalidBlock)?;
    Ok(buffer)
}

/// Appends a field that enters no table.
pub(super) fn encode(name: &[u8], value: &[u8], block: &mut Vec<u8>) {
    block.push(0);
    for text in [name, value] {
        encode_length(text.len(), block);
        block.extend_from_slice(text);
    }
}

fn encode_length(mut length: usize, block: &mut Vec<u8>) {
    const MASK: usize = 0x7f;
    let low = |number: usize| u8::try_from(number & MASK).unwrap_or_default();
    if length < MASK {
        return block.push(low(length));
    }
    block.push(0x7f);
    length -= MASK;
    while length > MASK {
        block.push(low(length) | 0x80);
        length >>= 7;
    }
    block.push(low(length));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(decoder: &mut Decoder, block: &[u8]) -> Result<Vec<(String, String)>, InvalidBlock> {
        let mut fields = Vec::new();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        decoder.decode(block, |name, value| fields.push((text(name), text(value))))?;
        Ok(fields)
    }

    fn fields(fields: &[(&str, &str)]) -> Vec<(String, String)> {
        fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn the_examples_of_the_rfc_are_decoded() {
        // RFC 7541, appendix C.4: requests on one connection, Huffman-coded.
        let mut decoder = Decoder::default();
        let common =
            [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "www.example.com")];
        let first = b"\x82\x86\x84\x41\x8c\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff";
        assert_eq!(decoded(&mut decoder, first).unwrap(), fields(&common));
        let second = b"\x82\x86\x84\xbe\x58\x86\xa8\xeb\x10\x64\x9c\xbf";
        let expected = [&common[..], &[("cache-control", "no-cache")]].concat();
        assert_eq!(decoded(&mut decoder, second).unwrap(), fields(&expected));
        let third = b"\x82\x87\x85\xbf\x40\x88\x25\xa8\x49\xe9\x5b\xa9\x7d\x7f\x89\x25\xa8\x49\xe9\x5b\xb8\xe8\xb4\xbf";
        let expected = [
            (":method", "GET"),
            (":scheme", "https"),
            (":path", "/index.html"),
            (":authority", "www.example.com"),
            ("custom-key", "custom-value"),
        ];
        assert_eq!(decoded(&mut decoder, third).unwrap(), fields(&expected));
        assert_eq!(decoder.size, 164);
    }

    #[test]
    fn entries_are_evicted_and_the_table_is_resized() {
        let mut decoder = Decoder::default();
        decoded(&mut decoder, b"\x40\x01a\x01b\x40\x01c\x01d").unwrap();
        assert_eq!(decoded(&mut decoder, b"\xbe\xbf").unwrap(), fields(&[("c", "d"), ("a", "b")]));
        // 34 bytes: room for one.
        assert_eq!(decoded(&mut decoder, b"\x3f\x03\xbe").unwrap(), fields(&[("c", "d")]));
        assert_eq!(decoded(&mut decoder, b"\xbf"), Err(InvalidBlock));
        let mut decoder = Decoder::default();
        assert_eq!(decoded(&mut decoder, b"\x3f\xe2\x1f"), Err(InvalidBlock), "more than 4096");
        assert_eq!(decoded(&mut decoder, b"\x82\x20"), Err(InvalidBlock), "a size after a field");
        for block in [&b"\x80"[..], b"\xff", b"\x40\x01", b"\x40\x01a\x02b", b"\xff\xff\xff\xff\xff\xff\x01"]
        {
            assert_eq!(decoded(&mut decoder, block), Err(InvalidBlock), "{block:x?}");
        }
    }

    #[test]
    fn what_is_encoded_is_decoded() {
        for length in [0, 1, 126, 127, 128, 254, 255, 16_383, 16_511, 70_000] {
            let (name, value) = ("n".repeat(length.max(1)), "v".repeat(length));
            let mut block = Vec::new();
            encode(name.as_bytes(), value.as_bytes(), &mut block);
            assert_eq!(decoded(&mut Decoder::default(), &block).unwrap(), vec![(name, value)]);
        }
    }
}
