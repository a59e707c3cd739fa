//! Lines of limited length.

use std::io::{self, BufRead};

/// Reads line after line into one buffer.
pub struct Lines<R> {
    reader: R,
    line: Vec<u8>,
    bytes_max: usize,
    bytes: u64,
}

impl<R: BufRead> Lines<R> {
    /// With lines of at most `bytes_max` bytes.
    pub fn new(reader: R, bytes_max: usize) -> Self {
        Self { reader, line: Vec::new(), bytes_max, bytes: 0 }
    }

    /// Bytes that were read so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The next line without its newline, and whether it had one; None at the end.
    pub fn next(&mut self) -> io::Result<Option<(&[u8], bool)>> {
        self.line.clear();
        loop {
            let buffer = match self.reader.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                other => other?,
            };
            if buffer.is_empty() {
                return Ok((!self.line.is_empty()).then_some((&self.line, false)));
            }
            let newline = memchr::memchr(b'\n', buffer);
            let (part, _) = buffer.split_at(newline.unwrap_or(buffer.len()));
            if self.line.len() + part.len() > self.bytes_max {
                let what = format!("a line has more than {} MiB; see --max-line", self.bytes_max >> 20);
                return Err(io::Error::new(io::ErrorKind::InvalidData, what));
            }
            self.line.extend_from_slice(part);
            let used = part.len() + usize::from(newline.is_some());
            self.reader.consume(used);
            self.bytes += used as u64;
            if newline.is_some() {
                return Ok(Some((&self.line, true)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str, capacity: usize, bytes_max: usize) -> io::Result<Vec<(String, bool)>> {
        let mut lines = Lines::new(io::BufReader::with_capacity(capacity, text.as_bytes()), bytes_max);
        let mut all = Vec::new();
        while let Some((line, complete)) = lines.next()? {
            all.push((String::from_utf8(line.to_vec()).unwrap(), complete));
        }
        assert_eq!(lines.bytes(), text.len() as u64);
        Ok(all)
    }

    #[test]
    fn lines_come_whole_however_they_are_read() {
        for capacity in [1, 2, 3, 100] {
            let lines = all("one\n\nthree\nrest", capacity, 5).unwrap();
            let expected = [("one", true), ("", true), ("three", true), ("rest", false)];
            assert_eq!(lines, expected.map(|(line, complete)| (line.to_owned(), complete)));
            assert_eq!(all("", capacity, 5).unwrap(), []);
            assert_eq!(all("a\n", capacity, 5).unwrap(), [("a".to_owned(), true)]);
        }
    }

    #[test]
    fn a_line_at_the_limit_is_read_and_one_past_it_is_not() {
        assert!(all("12345\n", 2, 5).is_ok());
        assert!(all("123456\n", 2, 5).is_err());
        assert!(all("123456", 100, 5).is_err());
    }
}
