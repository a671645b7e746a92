//! Server-sent events, as far as MCP uses them: the data of each event (HTML standard, section "Server-sent events").

/// Cuts a stream of bytes into events.
#[derive(Debug, Default)]
pub struct Events {
    line: Vec<u8>,
    data: Vec<u8>,
    some: bool,
    /// A line break of two characters counts once.
    after_return: bool,
}

/// An event is larger than anybody sends.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("an event is larger than {0} bytes")]
pub struct TooLarge(pub usize);

impl Events {
    /// Takes the next bytes; `event` is given the data of each event that is complete.
    pub fn feed(&mut self, bytes: &[u8], limit: usize, mut event: impl FnMut(&[u8])) -> Result<(), TooLarge> {
        for &byte in bytes {
            let second_half = std::mem::replace(&mut self.after_return, byte == b'\r') && byte == b'\n';
            match byte {
                b'\n' if second_half => {}
                b'\n' | b'\r' => self.end_line(&mut event),
                _ => {
                    if self.line.len() + self.data.len() >= limit {
                        return Err(TooLarge(limit));
                    }
                    self.line.push(byte);
                }
            }
        }
        Ok(())
    }

    fn end_line(&mut self, event: &mut impl FnMut(&[u8])) {
        let line = std::mem::take(&mut self.line);
        if line.is_empty() {
            if std::mem::take(&mut self.some) {
                event(&self.data);
            }
            self.data.clear();
        } else if let Some(value) = line.strip_prefix(b"data:") {
            if std::mem::replace(&mut self.some, true) {
                self.data.push(b'\n');
            }
            self.data.extend_from_slice(value.strip_prefix(b" ").unwrap_or(value));
        }
        // Comments, ids, names and retry times say nothing here.
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(chunks: &[&[u8]]) -> Vec<String> {
        let (mut events, mut found) = (Events::default(), Vec::new());
        for chunk in chunks {
            events.feed(chunk, 1000, |data| found.push(String::from_utf8_lossy(data).into_owned())).unwrap();
        }
        found
    }

    #[test]
    fn events_are_found_however_the_bytes_come() {
        let text =
            b": hello\n\nevent: message\ndata: {\"a\":1}\n\nid: 7\ndata:one\ndata: two\r\n\r\ndata\n\ndata: last\r\rdata: cut";
        let meant = ["{\"a\":1}", "one\ntwo", "last"];
        assert_eq!(events(&[text]), meant);
        let bytes: Vec<&[u8]> = text.chunks(1).collect();
        assert_eq!(events(&bytes), meant);
        let threes: Vec<&[u8]> = text.chunks(3).collect();
        assert_eq!(events(&threes), meant);
    }

    #[test]
    fn an_event_without_end_is_not_collected_for_ever() {
        let mut events = Events::default();
        assert_eq!(events.feed(&[b'x'; 20], 10, |_| {}), Err(TooLarge(10)));
        let mut events = Events::default();
        let lines: Vec<u8> = b"data: abc\n".repeat(10);
        assert!(events.feed(&lines, 20, |_| {}).is_err());
    }
}
