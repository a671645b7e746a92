//! The text of an API key: `ock_`, 32 random characters, 6 of checksum.
//!
//! The prefix lets secret scanners and our own redaction recognise a key; the checksum tells a mistyped key from an unknown
//! one before anything is looked up. Only the SHA-256 of the text is stored: 190 random bits need no slow hash.
use kernel::{SecretString, Sources};
use sha2::{Digest as _, Sha256};

/// What every API key starts with.
pub const PREFIX: &str = "ock_";
const RANDOM: usize = 32;
const CHECK: usize = 6;
/// How much of a key may be shown in lists, to tell keys apart.
const SHOWN: usize = 10;
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A key just made. The text is shown once.
pub struct NewKey {
    pub text: SecretString,
    /// The first characters, kept to recognise the key.
    pub prefix: String,
    pub hash: [u8; 32],
}

/// Makes a key with 190 bits of randomness.
pub fn new(sources: &Sources) -> NewKey {
    let mut text = String::from(PREFIX);
    while text.len() < PREFIX.len() + RANDOM {
        let mut bytes = [0_u8; 48];
        sources.random.fill(&mut bytes);
        // Bytes from 248 up would make the first characters of the alphabet likelier.
        let fair = bytes.iter().filter(|b| **b < 248).filter_map(|b| ALPHABET.get(usize::from(b % 62)));
        text.extend(fair.map(|b| char::from(*b)).take(PREFIX.len() + RANDOM - text.len()));
    }
    text.push_str(&checksum(&text));
    let hash = hash(&text);
    NewKey { prefix: text.chars().take(SHOWN).collect(), hash, text: text.into() }
}

/// Whether the text has a key's form and its checksum is right.
pub fn well_formed(text: &str) -> bool {
    text.len() == PREFIX.len() + RANDOM + CHECK
        && text.starts_with(PREFIX)
        && text.bytes().skip(PREFIX.len()).all(|b| b.is_ascii_alphanumeric())
        && text.split_at_checked(PREFIX.len() + RANDOM).is_some_and(|(body, check)| checksum(body) == check)
}

/// What is stored of a key.
pub fn hash(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

/// CRC-32 in base 62, six characters: it guards against typing mistakes, not against forgers.
fn checksum(body: &str) -> String {
    let mut rest = crc32fast::hash(body.as_bytes()) as usize;
    let mut out = [b'0'; CHECK];
    for slot in out.iter_mut().rev() {
        *slot = ALPHABET.get(rest % 62).copied().unwrap_or(b'0');
        rest /= 62;
    }
    out.iter().map(|b| char::from(*b)).collect()
}

#[cfg(test)]
mod tests {
    use kernel::ExposeSecret as _;

    use super::*;

    #[test]
    fn keys_are_well_formed_differ_and_notice_typing_mistakes() {
        let sources = Sources::system();
        let (a, b) = (new(&sources), new(&sources));
        assert_ne!(a.hash, b.hash);
        let text = a.text.expose_secret();
        assert_eq!(text.len(), 42);
        assert!(well_formed(text));
        assert!(text.starts_with(&a.prefix) && a.prefix.len() == SHOWN);
        for i in PREFIX.len()..text.len() {
            let mut wrong = text.to_owned().into_bytes();
            wrong[i] = if wrong[i] == b'x' { b'y' } else { b'x' };
            assert!(!well_formed(std::str::from_utf8(&wrong).unwrap()), "position {i}");
        }
        for bad in ["", "ock_", "ock_ä", &text[..41], &format!("{text}0"), &text.replace("ock_", "oca_")] {
            assert!(!well_formed(bad), "{bad}");
        }
    }
}
