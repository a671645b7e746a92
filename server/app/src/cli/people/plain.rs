//! Texts from elsewhere, made fit for a terminal: a server, a record's name or an error must not move the cursor, change colours, set
//! the window's title, or turn the reading direction of what stands around it.

use std::fmt::Write as _;

/// Whether a terminal, or a person's eye, takes the character for something else than text: controls (C0, DEL, C1), and the marks that
/// reverse or hide text (Unicode Bidirectional Algorithm, UAX #9 section 2; zero-width characters; line separators).
pub fn hostile(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{061c}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}')
}

/// On one line.
pub fn line(text: &str) -> String {
    text.chars().map(|c| if hostile(c) { ' ' } else { c }).collect()
}

/// On several: line breaks and tabs stay.
pub fn lines(text: &str) -> String {
    text.replace("\r\n", "\n").chars().map(|c| if hostile(c) && !matches!(c, '\n' | '\t') { ' ' } else { c }).collect()
}

/// On one line, of so many characters at most.
pub fn cut(text: &str, characters: usize) -> String {
    let text = line(text);
    if text.chars().count() <= characters {
        return text;
    }
    text.chars().take(characters.saturating_sub(1)).chain(['…']).collect()
}

/// The same JSON with every such character escaped. They stand in strings alone, where an escape means the same.
pub fn json(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if hostile(c) && c != '\n' {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_obeys_is_left() {
        let bad = "a\u{1b}[31mb\u{9b}2Jc\u{7f}\r\u{7}\u{202e}d\u{200b}\u{2066}\u{feff}\u{2028}";
        for text in [line(bad), lines(bad), json(bad)] {
            for c in "\u{1b}\u{9b}\u{7f}\r\u{7}\u{202e}\u{200b}\u{2066}\u{feff}\u{2028}".chars() {
                assert!(!text.contains(c), "{c:?} in {text:?}");
            }
        }
        assert_eq!(line("Äpfel & 世界 🍎"), "Äpfel & 世界 🍎");
        assert_eq!(lines("a\r\nb\tc\n"), "a\nb\tc\n");
        assert_eq!(cut("abcdef", 4), "abc…");
        assert_eq!(cut("abcd", 4), "abcd");
    }

    #[test]
    fn escaped_json_is_the_same_json() {
        let value = serde_json::json!({"a": "x\u{9b}\u{7f}\u{202e}\u{e0001}\n\"\\"});
        let text = json(&serde_json::to_string_pretty(&value).unwrap());
        assert!(!text.chars().any(|c| hostile(c) && c != '\n'));
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
    }
}
