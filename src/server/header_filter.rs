//! Inspects the header blocks that an HTTP/2 client sends, before the parser sees them.
//!
//! h2 answers some malformed requests (RFC 9113, section 8.1.1) with GOAWAY, which ends the
//! requests of everybody whom a front multiplexes on the connection; and it refuses raw
//! bytes in a path that HTTP/1 clients get through. Such a block is replaced by one that h2
//! takes, or ends the stream for. Every other block passes as it came.

use bytes::{BufMut, BytesMut};
use http::header::HeaderName;

use super::hpack::{Decoder, InvalidBlock, encode};
use super::request_target;

/// Marks a request that the listener rejects for its raw `#`. Clients cannot send it.
pub(super) const RAW_FRAGMENT: HeaderName = HeaderName::from_static("x-huggate-raw-fragment");

const FRAME_HEAD: usize = 9;
const PREFACE: usize = 24;
const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;
const PRIORITY: u8 = 0x20;
/// The largest frame, by the default of `SETTINGS_MAX_FRAME_SIZE`.
const MAX_FRAME: usize = 16_384;
/// A block in more frames than this is left to h2, which closes the connection.
const MAX_FRAMES: usize = 64;

/// The header blocks of one connection.
#[derive(Debug)]
pub(super) struct HeaderFilter {
    decoder: Decoder,
    /// Bytes that pass: the preface, or what is left of a frame.
    passing: usize,
    /// h2's dynamic table lacks entries: it gets every block without references to it.
    replaces_all: bool,
    /// The frames break the protocol, and h2 closes the connection.
    broken: bool,
    /// The last block, encoded anew.
    encoded: Vec<u8>,
    /// How long that may be.
    max_encoded: usize,
}

/// What to do with the next bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// As many pass.
    Pass(usize),
    /// As many are replaced by what was written.
    Replace(usize),
    /// More are needed to tell.
    Incomplete,
}

/// What a block is.
enum Verdict {
    Fine,
    /// It is to be encoded anew.
    Changed,
    /// The stream is to be reset.
    Malformed,
}

/// A block in its frames.
struct Block {
    length: usize,
    /// One of the first frame.
    flags: u8,
    stream: [u8; 4],
    /// Empty if the first frame has all of it.
    joined: Vec<u8>,
}

impl HeaderFilter {
    pub(super) fn new(max_encoded: usize) -> Self {
        Self {
            decoder: Decoder::default(),
            passing: PREFACE,
            replaces_all: false,
            broken: false,
            encoded: Vec::new(),
            max_encoded,
        }
    }

    /// Inspects the next bytes; a replacement is written to `output`.
    pub(super) fn step(&mut self, input: &[u8], output: &mut BytesMut) -> Step {
        if self.broken {
            return Step::Pass(input.len());
        }
        if self.passing == 0 {
            let Some(length) = frame_length(input) else { return Step::Incomplete };
            if input.get(3) == Some(&HEADERS) {
                return self.headers(input, output);
            }
            self.passing = FRAME_HEAD + length;
        }
        let count = self.passing.min(input.len());
        self.passing -= count;
        Step::Pass(count)
    }

    fn headers(&mut self, input: &[u8], output: &mut BytesMut) -> Step {
        let (block, first) = match gather(input) {
            Ok(Some(gathered)) => gathered,
            Ok(None) => return Step::Incomplete,
            Err(BrokenFrames) => {
                self.broken = true;
                return Step::Pass(input.len());
            }
        };
        let fields = if block.joined.is_empty() { first } else { &block.joined };
        match self.inspect(fields) {
            Ok(Verdict::Fine) if !self.replaces_all => return Step::Pass(block.length),
            Ok(Verdict::Fine | Verdict::Changed) => {}
            Ok(Verdict::Malformed) => {
                tracing::info!("resetting an HTTP/2 stream: its request is malformed");
                self.encoded.clear();
                // A field of the connection, for which h2 resets the stream (RFC 9113, 8.2.2).
                encode(b"connection", b"close", &mut self.encoded);
            }
            Err(InvalidBlock) => {
                // An invalid index, for which h2 closes the connection (RFC 7541, section 2.3.3).
                self.encoded.clear();
                self.encoded.push(0x80);
            }
        }
        self.replaces_all = true;
        write_frames(&block, &self.encoded, output);
        Step::Replace(block.length)
    }

    fn inspect(&mut self, block: &[u8]) -> Result<Verdict, InvalidBlock> {
        let (encoded, max) = (&mut self.encoded, self.max_encoded);
        encoded.clear();
        let (mut is_changed, mut is_malformed) = (false, false);
        let mut path = Vec::new();
        self.decoder.decode(block, |name, value| {
            // Longer lists are h2's to refuse; and what they refer to may be short.
            if encoded.len() > max || is_malformed {
                return;
            }
            if !is_well_formed(name, value) {
                is_malformed = true;
            } else if name == b":path" && request_target::has_fragment(value) {
                is_changed = true;
                path.extend_from_slice(value.split(|byte| *byte == b'#').next().unwrap_or_default());
                encode(name, &path, encoded);
            } else if name == b":path" && request_target::needs_encoding(value) {
                is_changed = true;
                let mut target = Vec::new();
                request_target::encode(value, &mut target);
                encode(name, &target, encoded);
            } else if name == RAW_FRAGMENT.as_str().as_bytes() {
                is_changed = true;
            } else {
                encode(name, value, encoded);
            }
        })?;
        if !path.is_empty() {
            encode(RAW_FRAGMENT.as_str().as_bytes(), b"", encoded);
        }
        Ok(if is_malformed {
            Verdict::Malformed
        } else if is_changed {
            Verdict::Changed
        } else {
            Verdict::Fine
        })
    }
}

/// Whether h2 can decode the field; for others it closes the connection.
fn is_well_formed(name: &[u8], value: &[u8]) -> bool {
    let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    match name {
        b":method" => !value.is_empty() && value.iter().all(is_token),
        // Encoded where it is not UTF-8; h2 resets the stream for control characters.
        b":path" => true,
        b":scheme" | b":authority" | b":protocol" => std::str::from_utf8(value).is_ok(),
        // Of responses, or unknown.
        [b':', ..] | [] => false,
        _ => {
            let is_name = |byte: &u8| is_token(byte) && !byte.is_ascii_uppercase();
            let is_text = |byte: &u8| matches!(byte, b'\t' | b' '..=b'~' | 0x80..);
            name.iter().all(is_name) && value.iter().all(is_text)
        }
    }
}

struct BrokenFrames;

/// The length of the payload of the frame at the start of `input`.
fn frame_length(input: &[u8]) -> Option<usize> {
    let [high, middle, low, ..] = *input.get(..FRAME_HEAD)? else { return None };
    Some(usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low))
}

/// The block that begins `input`, and the part of it in the first frame; `None` if more is
/// needed.
fn gather(input: &[u8]) -> Result<Option<(Block, &[u8])>, BrokenFrames> {
    let mut gathered: Option<(Block, &[u8])> = None;
    let mut rest = input;
    for _ in 0..MAX_FRAMES {
        let Some(length) = frame_length(rest) else { return Ok(None) };
        let (head, after) = rest.split_at_checked(FRAME_HEAD).ok_or(BrokenFrames)?;
        let [_, _, _, kind, flags, stream @ ..] = head else { return Err(BrokenFrames) };
        let (kind, flags) = (*kind, *flags);
        let stream = <[u8; 4]>::try_from(stream).map_err(|_| BrokenFrames)?;
        let continues = gathered.as_ref().is_some_and(|(block, _)| block.stream == stream);
        if length > MAX_FRAME || (gathered.is_some() && (kind != CONTINUATION || !continues)) {
            return Err(BrokenFrames);
        }
        let Some((payload, after)) = after.split_at_checked(length) else { return Ok(None) };
        rest = after;
        match &mut gathered {
            None => {
                let block = Block { length: FRAME_HEAD + length, flags, stream, joined: Vec::new() };
                gathered = Some((block, without_padding(flags, payload)?));
            }
            Some((block, first)) => {
                if block.joined.is_empty() {
                    block.joined.extend_from_slice(first);
                }
                block.joined.extend_from_slice(payload);
                block.length += FRAME_HEAD + length;
            }
        }
        if flags & END_HEADERS != 0 {
            return Ok(gathered);
        }
    }
    Err(BrokenFrames)
}

/// The part of a HEADERS frame that is of the block (RFC 9113, section 6.2).
fn without_padding(flags: u8, mut payload: &[u8]) -> Result<&[u8], BrokenFrames> {
    let mut padding = 0;
    if flags & PADDED != 0 {
        let (length, rest) = payload.split_first().ok_or(BrokenFrames)?;
        (padding, payload) = (usize::from(*length), rest);
    }
    if flags & PRIORITY != 0 {
        payload = payload.get(5..).ok_or(BrokenFrames)?;
    }
    payload.len().checked_sub(padding).and_then(|end| payload.get(..end)).ok_or(BrokenFrames)
}

/// Writes `fields` in frames for the stream of `block`.
fn write_frames(block: &Block, fields: &[u8], output: &mut BytesMut) {
    let mut rest = fields;
    let mut kind = HEADERS;
    loop {
        let (payload, after) = rest.split_at(rest.len().min(MAX_FRAME));
        rest = after;
        let mut flags = if kind == HEADERS { block.flags & END_STREAM } else { 0 };
        if rest.is_empty() {
            flags |= END_HEADERS;
        }
        output.put_uint(payload.len() as u64, 3);
        output.put_slice(&[kind, flags]);
        output.put_slice(&block.stream);
        output.put_slice(payload);
        if rest.is_empty() {
            return;
        }
        kind = CONTINUATION;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = Vec::new();
        frame.put_uint(payload.len() as u64, 3);
        frame.put_slice(&[kind, flags, 0, 0, 0, stream]);
        frame.put_slice(payload);
        frame
    }

    fn block(fields: &[(&[u8], &[u8])]) -> Vec<u8> {
        let mut block = Vec::new();
        fields.iter().for_each(|(name, value)| encode(name, value, &mut block));
        block
    }

    fn filter() -> HeaderFilter {
        HeaderFilter { passing: 0, ..HeaderFilter::new(10_000) }
    }

    /// Everything that h2 reads, however the bytes arrive.
    fn filtered(filter: &mut HeaderFilter, input: &[u8], piece: usize) -> Vec<u8> {
        let (mut held, mut read) = (Vec::new(), BytesMut::new());
        for piece in input.chunks(piece) {
            held.extend_from_slice(piece);
            while !held.is_empty() {
                match filter.step(&held, &mut read) {
                    Step::Pass(count) => read.extend(held.drain(..count)),
                    Step::Replace(count) => drop(held.drain(..count)),
                    Step::Incomplete => break,
                }
            }
        }
        assert!(held.is_empty(), "{held:x?} is left");
        read.to_vec()
    }

    #[test]
    fn what_is_fine_passes_as_it_came() {
        let fields = block(&[(b":method", b"GET"), (b":path", b"/\xc3\xa9"), (b"a", b"b")]);
        let padded = [&[3, 0, 0, 0, 0, 7], &fields[..], &[0; 3]].concat();
        let input = [
            frame(4, 0, 0, &[0, 1, 0, 0, 16, 0]),
            frame(HEADERS, END_HEADERS | END_STREAM, 1, &fields),
            frame(HEADERS, END_HEADERS | PADDED | PRIORITY, 3, &padded),
            frame(0, 1, 3, &[HEADERS; 5_000]),
            frame(HEADERS, 0, 5, &fields[..10]),
            frame(CONTINUATION, 0, 5, b""),
            frame(CONTINUATION, END_HEADERS, 5, &fields[10..]),
            frame(0xbe, 0xff, 9, b"unknown"),
        ]
        .concat();
        for piece in [1, 2, 9, 100, input.len()] {
            assert_eq!(filtered(&mut filter(), &input, piece), input, "in pieces of {piece}");
        }
        let preface = [&[b'P'; PREFACE][..], &input].concat();
        assert_eq!(filtered(&mut HeaderFilter::new(10_000), &preface, 7), preface);
    }

    #[test]
    fn a_malformed_block_becomes_one_that_ends_its_stream() {
        let replaced = frame(HEADERS, END_HEADERS | END_STREAM, 3, &block(&[(b"connection", b"close")]));
        for (name, value) in [
            (&b":authority"[..], &b"\xff"[..]),
            (b":scheme", b"\xff"),
            (b":method", b"G T"),
            (b":method", b""),
            (b":unknown", b"x"),
            (b":status", b"x"),
            (b":", b""),
            (b"", b"x"),
            (b"Upper", b"x"),
            (b"a b", b"x"),
            (b"a", b"x\0"),
            (b"a", b"x\r\nb: c"),
            (b"a", b"\x7f"),
        ] {
            let input = frame(HEADERS, END_HEADERS | END_STREAM, 3, &block(&[(b"x", b"y"), (name, value)]));
            assert_eq!(filtered(&mut filter(), &input, 5), replaced, "{name:?}: {value:?}");
        }
    }

    #[test]
    fn after_a_replacement_no_block_refers_to_a_table() {
        let mut filter = filter();
        // The path enters the table, which h2's cannot take.
        let first = [&b"\x82\x44\x04/\xff?\""[..], b"\x40\x01a\x01b"].concat();
        let read = filtered(&mut filter, &frame(HEADERS, END_HEADERS, 1, &first), 4);
        let fields = block(&[(b":method", b"GET"), (b":path", b"/%FF?%22"), (b"a", b"b")]);
        assert_eq!(read, frame(HEADERS, END_HEADERS, 1, &fields));
        let read = filtered(&mut filter, &frame(HEADERS, END_HEADERS, 3, b"\x82\xbf\xbe"), 4);
        assert_eq!(read, frame(HEADERS, END_HEADERS, 3, &fields), "the entries are known here");
        let read = filtered(&mut filter, &frame(HEADERS, END_HEADERS, 5, b"\xc1"), 4);
        assert_eq!(read, frame(HEADERS, END_HEADERS, 5, b"\x80"), "an index that nobody knows");
    }

    #[test]
    fn a_raw_fragment_is_marked_and_the_mark_cannot_be_sent() {
        let mark = b"x-huggate-raw-fragment";
        assert_eq!(RAW_FRAGMENT.as_str().as_bytes(), mark);
        let sent = block(&[(b":path", b"/a#b"), (b"a", b"b")]);
        let read = filtered(&mut filter(), &frame(HEADERS, END_HEADERS, 1, &sent), 4);
        let marked = block(&[(b":path", b"/a"), (b"a", b"b"), (mark, b"")]);
        assert_eq!(read, frame(HEADERS, END_HEADERS, 1, &marked));
        let sent = block(&[(b":path", b"/a"), (mark, b"")]);
        let read = filtered(&mut filter(), &frame(HEADERS, END_HEADERS, 1, &sent), 4);
        assert_eq!(read, frame(HEADERS, END_HEADERS, 1, &block(&[(b":path", b"/a")])));
    }

    #[test]
    fn a_long_replacement_takes_several_frames() {
        let mut filter = HeaderFilter { passing: 0, ..HeaderFilter::new(100_000) };
        let value = vec![b'a'; 40_000];
        let long = block(&[(b":path", b"/?<"), (b"a", &value)]);
        let pieces: Vec<&[u8]> = long.chunks(16_000).collect();
        let input = [
            frame(HEADERS, 0, 1, pieces[0]),
            frame(CONTINUATION, 0, 1, pieces[1]),
            frame(CONTINUATION, END_HEADERS, 1, pieces[2]),
        ]
        .concat();
        let read = filtered(&mut filter, &input, 10_000);
        let (encoded, first) = gather(&read).ok().flatten().unwrap();
        assert_eq!(encoded.length, read.len());
        assert!(first.len() == MAX_FRAME);
        assert_eq!(encoded.joined, block(&[(b":path", b"/?%3C"), (b"a", &value)]));
    }
}
