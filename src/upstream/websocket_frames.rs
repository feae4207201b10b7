//! WebSocket frames (RFC 6455, section 5.2): finds their ends, and writes close frames.
//! Payloads are not inspected.

/// The longest header: two bytes, an extended length, a mask.
const MAX_HEADER: usize = 14;
const OPCODE_CLOSE: u8 = 0x8;

/// Follows one direction of a WebSocket from frame to frame.
#[derive(Debug, Default)]
pub(super) struct FrameReader {
    header: [u8; MAX_HEADER],
    /// How many bytes of the header have been read.
    header_len: usize,
    /// How much of the payload is left, once the header is complete.
    payload_left: Option<u64>,
    closed: bool,
}

impl FrameReader {
    /// Takes bytes up to the end of the current frame, and returns how many.
    pub(super) fn take(&mut self, bytes: &[u8]) -> usize {
        let mut taken = 0;
        let left = loop {
            match self.payload_left {
                Some(left) => break left,
                None => {
                    let Some(byte) = bytes.get(taken) else { return taken };
                    if let Some(slot) = self.header.get_mut(self.header_len) {
                        *slot = *byte;
                    }
                    self.header_len += 1;
                    taken += 1;
                    self.payload_left = self.payload_length();
                }
            }
        };
        let available = bytes.len().saturating_sub(taken);
        let now = usize::try_from(left).unwrap_or(usize::MAX).min(available);
        taken += now;
        let left = left - now as u64;
        if left > 0 {
            self.payload_left = Some(left);
            return taken;
        }
        self.closed |= self.header.first().is_some_and(|first| first & 0x0f == OPCODE_CLOSE);
        (self.header_len, self.payload_left) = (0, None);
        taken
    }

    /// Whether the last frame is complete and the next one has not begun.
    pub(super) fn at_boundary(&self) -> bool {
        self.header_len == 0
    }

    /// Whether a close frame has passed; no frame may follow it.
    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    /// The payload's length, if the header is complete.
    fn payload_length(&self) -> Option<u64> {
        let header = self.header.get(..self.header_len)?;
        let [_, second, rest @ ..] = header else { return None };
        let (length, extended) = match second & 0x7f {
            126 => {
                let bytes: [u8; 2] = rest.get(..2)?.try_into().ok()?;
                (u64::from(u16::from_be_bytes(bytes)), 2)
            }
            127 => {
                let bytes: [u8; 8] = rest.get(..8)?.try_into().ok()?;
                (u64::from_be_bytes(bytes), 8)
            }
            short => (u64::from(short), 0),
        };
        let mask = if second & 0x80 == 0 { 0 } else { 4 };
        (rest.len() >= extended + mask).then_some(length)
    }
}

/// A close frame (section 5.5.1), masked if it is sent as a client.
pub(super) fn close_frame(code: u16, reason: &str, mask: Option<[u8; 4]>) -> Vec<u8> {
    // The payload of a control frame has at most 125 bytes, two of them the code.
    let mut payload = code.to_be_bytes().to_vec();
    payload.extend(reason.bytes().take(123));
    let length = u8::try_from(payload.len()).unwrap_or_default();
    let mut frame = vec![0x80 | OPCODE_CLOSE, length | if mask.is_some() { 0x80 } else { 0 }];
    if let Some(mask) = mask {
        frame.extend(mask);
        payload.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
    }
    frame.extend(payload);
    frame
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A frame with a payload of `length` bytes.
    fn frame(first: u8, length: usize, masked: bool) -> Vec<u8> {
        let mask = if masked { 0x80 } else { 0 };
        let mut frame = vec![first];
        match length {
            0..126 => frame.push(length as u8 | mask),
            126..65536 => {
                frame.push(126 | mask);
                frame.extend((length as u16).to_be_bytes());
            }
            _ => {
                frame.push(127 | mask);
                frame.extend((length as u64).to_be_bytes());
            }
        }
        if masked {
            frame.extend([1, 2, 3, 4]);
        }
        frame.extend(std::iter::repeat_n(0x88, length));
        frame
    }

    #[test]
    fn each_frame_is_taken_to_its_end() {
        for length in [0, 1, 125, 126, 127, 65535, 65536, 70000] {
            for masked in [false, true] {
                let one = frame(0x82, length, masked);
                let both = [one.clone(), frame(0x88, 2, masked)].concat();
                let mut frames = FrameReader::default();
                assert_eq!(frames.take(&both), one.len());
                assert!(frames.at_boundary() && !frames.is_closed());
                assert_eq!(frames.take(&both[one.len()..]), both.len() - one.len());
                assert!(frames.at_boundary() && frames.is_closed());
            }
        }
    }

    #[test]
    fn a_huge_length_is_accepted() {
        let mut frames = FrameReader::default();
        let huge = [0x82, 127, 255, 255, 255, 255, 255, 255, 255, 255, 1, 2, 3];
        assert_eq!(frames.take(&huge), huge.len());
        assert!(!frames.at_boundary());
    }

    #[test]
    fn a_close_frame_carries_code_and_reason() {
        let plain = close_frame(1008, "over", None);
        assert_eq!(plain, [&[0x88, 6, 0x03, 0xf0][..], b"over"].concat());
        let masked = close_frame(1008, "over", Some([1, 2, 3, 4]));
        assert_eq!(masked[..6], [0x88, 0x86, 1, 2, 3, 4]);
        let unmasked: Vec<u8> =
            masked[6..].iter().zip([1, 2, 3, 4].iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
        assert_eq!(unmasked, plain[2..]);
        for frame in [plain, masked, close_frame(1001, &"long ".repeat(50), None)] {
            let mut frames = FrameReader::default();
            assert_eq!(frames.take(&frame), frame.len());
            assert!(frames.at_boundary() && frames.is_closed());
        }
    }

    proptest! {
        /// The same frame ends are found however the bytes are split.
        #[test]
        fn splits_do_not_matter(
            shapes in prop::collection::vec((0_u8..8, 0_usize..70_000, any::<bool>()), 1..6),
            splits in prop::collection::vec(1_usize..5000, 1..8),
        ) {
            let frames: Vec<Vec<u8>> =
                shapes.iter().map(|(first, length, masked)| frame(*first, *length, *masked)).collect();
            let ends: Vec<usize> = frames
                .iter()
                .scan(0, |end, frame| { *end += frame.len(); Some(*end) })
                .collect();
            let bytes = frames.concat();
            let (mut follower, mut at, mut found) = (FrameReader::default(), 0, Vec::new());
            let mut splits = splits.iter().cycle();
            while at < bytes.len() {
                let end = bytes.len().min(at + splits.next().unwrap());
                while at < end {
                    let taken = follower.take(&bytes[at..end]);
                    prop_assert!(taken > 0);
                    at += taken;
                    if follower.at_boundary() {
                        found.push(at);
                    }
                }
            }
            prop_assert_eq!(found, ends);
        }

        #[test]
        fn arbitrary_bytes_are_consumed_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let (mut frames, mut at) = (FrameReader::default(), 0);
            while at < bytes.len() {
                let taken = frames.take(&bytes[at..]);
                prop_assert!(taken > 0);
                at += taken;
            }
        }
    }
}
