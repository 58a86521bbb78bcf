//! Faults on the wire: bytes on their way, changed.

/// Changes a stream of bytes.
pub(crate) trait Rewrite: Send {
    /// What becomes of these bytes.
    fn bytes(&mut self, bytes: &[u8]) -> Vec<u8>;

    /// What comes when the stream ends.
    fn end(&mut self) -> Vec<u8> {
        Vec::new()
    }

    /// Whether nothing more comes.
    fn is_over(&self) -> bool {
        false
    }
}

/// Replaces text that comes in one piece; `\n` stands for CRLF.
pub(crate) struct Replace(pub(crate) &'static str, pub(crate) &'static str);

impl Rewrite for Replace {
    fn bytes(&mut self, bytes: &[u8]) -> Vec<u8> {
        let (from, to) = (self.0.replace('\n', "\r\n"), self.1.replace('\n', "\r\n"));
        let (from, mut rest, mut changed) = (from.as_bytes(), bytes, Vec::new());
        while let Some(at) = rest.windows(from.len()).position(|window| window == from) {
            changed.extend_from_slice(&rest[..at]);
            changed.extend_from_slice(to.as_bytes());
            rest = &rest[at + from.len()..];
        }
        changed.extend_from_slice(rest);
        changed
    }
}

/// Adds a line behind every final status line.
pub(crate) struct AddField(pub(crate) &'static str);

impl Rewrite for AddField {
    fn bytes(&mut self, bytes: &[u8]) -> Vec<u8> {
        let at = bytes.windows(2).position(|pair| pair == b"\r\n");
        match at {
            Some(at) if bytes.starts_with(b"HTTP/1.1 ") => {
                [&bytes[..at + 2], self.0.as_bytes(), b"\r\n", &bytes[at + 2..]].concat()
            }
            _ => bytes.to_vec(),
        }
    }
}

/// Leaves out lines that begin with this.
pub(crate) struct DropField(pub(crate) &'static str);

impl Rewrite for DropField {
    fn bytes(&mut self, bytes: &[u8]) -> Vec<u8> {
        let lines = bytes.split_inclusive(|&byte| byte == b'\n');
        lines.filter(|line| !line.starts_with(self.0.as_bytes())).collect::<Vec<_>>().concat()
    }
}

/// Holds everything back until the stream ends.
#[derive(Default)]
pub(crate) struct Buffering(Vec<u8>);

impl Rewrite for Buffering {
    fn bytes(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.0.extend_from_slice(bytes);
        Vec::new()
    }

    fn end(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.0)
    }
}

/// Ends the connection where an answer begins with this.
pub(crate) struct DiesAt(pub(crate) &'static str, pub(crate) bool);

impl Rewrite for DiesAt {
    fn bytes(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.1 |= bytes.starts_with(self.0.as_bytes());
        if self.1 { Vec::new() } else { bytes.to_vec() }
    }

    fn is_over(&self) -> bool {
        self.1
    }
}

/// Ends chunked bodies cleanly that were cut.
#[derive(Default)]
pub(crate) struct EndsCleanly(Vec<u8>);

impl Rewrite for EndsCleanly {
    fn bytes(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.0.extend_from_slice(bytes);
        bytes.to_vec()
    }

    fn end(&mut self) -> Vec<u8> {
        if self.0.ends_with(b"0\r\n\r\n") { Vec::new() } else { b"0\r\n\r\n".to_vec() }
    }
}

/// Loses a byte behind so many.
pub(crate) struct LosesAByte(pub(crate) usize);

impl Rewrite for LosesAByte {
    fn bytes(&mut self, bytes: &[u8]) -> Vec<u8> {
        let lost = self.0;
        self.0 = self.0.saturating_sub(bytes.len());
        if (1..=bytes.len()).contains(&lost) {
            return [&bytes[..lost - 1], &bytes[lost..]].concat();
        }
        bytes.to_vec()
    }
}

/// Sends three answers the other way round.
#[derive(Default)]
pub(crate) struct Reversed(Vec<u8>);

impl Rewrite for Reversed {
    fn bytes(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.0.extend_from_slice(bytes);
        let begins = |window: &[u8]| window == b"HTTP/1.1 ";
        let starts: Vec<usize> =
            (0..self.0.len()).filter(|&at| self.0.get(at..at + 9).is_some_and(begins)).collect();
        if starts.len() < 3 || !self.0.ends_with(b"ready") {
            return Vec::new();
        }
        let all = std::mem::take(&mut self.0);
        [&all[starts[2]..], &all[starts[1]..starts[2]], &all[..starts[1]]].concat()
    }

    fn end(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.0)
    }
}

/// Does not hear what comes byte by byte.
pub(crate) struct DeafForBytes;

impl Rewrite for DeafForBytes {
    fn bytes(&mut self, bytes: &[u8]) -> Vec<u8> {
        if bytes.len() == 1 { Vec::new() } else { bytes.to_vec() }
    }
}

/// Hears nothing of long runs of `x`.
pub(crate) struct Shortens;

impl Rewrite for Shortens {
    fn bytes(&mut self, bytes: &[u8]) -> Vec<u8> {
        if bytes.len() < 1 << 20 {
            return bytes.to_vec();
        }
        bytes.iter().copied().filter(|&byte| byte != b'x').collect()
    }
}
