//! The texts of tokens, codes and secrets: a prefix that tells the kind, 43 random characters, 6 of checksum.
//!
//! The prefix lets secret scanners and our own redaction know them; the checksum tells a mangled one from an unknown one before anything
//! is looked up. Only the SHA-256 of a text is stored: 256 random bits need no slow hash. The form is that of API keys, but longer.
use sha2::{Digest as _, Sha256};

use kernel::{Random, SecretString};

/// SHA-256 of a text: what is stored of it.
pub type Hash = [u8; 32];

const RANDOM: usize = 43;
const CHECK: usize = 6;
/// How much of a text may be shown in lists.
const SHOWN: usize = 10;
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// What a text is for. Each has a prefix of its own, so that none passes for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Opens a resource for an hour.
    AccessToken,
    /// Gives new tokens.
    RefreshToken,
    /// Exchanged once for tokens.
    AuthorizationCode,
    /// What a program polls with in the device flow.
    DeviceCode,
    /// The id of a dynamically registered client. No secret, but as hard to guess.
    ClientId,
    /// What a confidential client proves itself with.
    ClientSecret,
    /// The end of an invite's link.
    Invite,
    /// The end of a link that sets a new password.
    PasswordReset,
}
impl Kind {
    /// All kinds.
    pub const ALL: [Self; 8] = [
        Self::AccessToken,
        Self::RefreshToken,
        Self::AuthorizationCode,
        Self::DeviceCode,
        Self::ClientId,
        Self::ClientSecret,
        Self::Invite,
        Self::PasswordReset,
    ];
    /// Four characters; none is `ock_` (API keys) or `ocw_` (sessions on the web).
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::AccessToken => "oca_",
            Self::RefreshToken => "ocr_",
            Self::AuthorizationCode => "occ_",
            Self::DeviceCode => "ocd_",
            Self::ClientId => "oci_",
            Self::ClientSecret => "ocs_",
            Self::Invite => "ocn_",
            Self::PasswordReset => "ocp_",
        }
    }
}

/// One just made. The text is given out once; the hash is stored.
#[derive(Debug)]
pub struct Opaque {
    /// What the client gets.
    pub text: SecretString,
    /// Its first ten characters, to tell it from others in a list.
    pub shown: String,
    /// What is stored.
    pub hash: Hash,
}

/// Makes one with 256 bits of randomness.
pub fn make(kind: Kind, random: &dyn Random) -> Opaque {
    let mut text = String::from(kind.prefix());
    let whole = text.len() + RANDOM;
    while text.len() < whole {
        let mut bytes = [0_u8; 64];
        random.fill(&mut bytes);
        // Bytes from 248 up would make the first characters of the alphabet likelier.
        let fair = bytes.iter().filter(|b| **b < 248).filter_map(|b| ALPHABET.get(usize::from(b % 62)));
        text.extend(fair.map(|b| char::from(*b)).take(whole - text.len()));
    }
    text.push_str(&checksum(&text));
    Opaque { shown: text.chars().take(SHOWN).collect(), hash: hash(&text), text: text.into() }
}

/// The hash to look up, or none where the text is not of that kind, or its checksum is wrong.
pub fn read(kind: Kind, text: &str) -> Option<Hash> {
    let whole = kind.prefix().len() + RANDOM;
    let formed = text.len() == whole + CHECK
        && text.starts_with(kind.prefix())
        && text.bytes().skip(kind.prefix().len()).all(|b| b.is_ascii_alphanumeric())
        && text.split_at_checked(whole).is_some_and(|(body, check)| checksum(body) == check);
    formed.then(|| hash(text))
}

/// What is stored of any secret text.
pub fn hash(text: &str) -> Hash {
    Sha256::digest(text.as_bytes()).into()
}

/// CRC-32 in base 62: it guards against mangling, not against forgers.
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
    use proptest::prelude::*;

    use super::*;
    use kernel::{ExposeSecret as _, SeededRandom};

    #[test]
    fn each_kind_is_read_as_itself_alone() {
        let random = SeededRandom::new(1);
        for made in Kind::ALL {
            let opaque = make(made, &random);
            let text = opaque.text.expose_secret();
            assert!(text.starts_with(&opaque.shown) && !text.starts_with("ock_") && !text.starts_with("ocw_"));
            for asked in Kind::ALL {
                assert_eq!(read(asked, text), (made == asked).then_some(opaque.hash), "{made:?} as {asked:?}");
            }
        }
    }

    #[test]
    fn every_character_is_as_likely() {
        let random = SeededRandom::new(3);
        let mut counts = std::collections::BTreeMap::<u8, i32>::new();
        for _ in 0..6_200 {
            let opaque = make(Kind::AccessToken, &random);
            opaque.text.expose_secret()[4..4 + RANDOM].bytes().for_each(|b| *counts.entry(b).or_default() += 1);
        }
        // Chi squared with 61 degrees of freedom: above 100 once in a thousand; the bias of a plain remainder makes it 1900.
        let chi: f64 = counts.values().map(|c| f64::from(c - 4_300).powi(2) / 4_300.0).sum();
        assert!(counts.len() == 62 && chi < 100.0, "{chi}");
    }

    #[test]
    fn debug_output_does_not_show_the_text() {
        let opaque = make(Kind::AccessToken, &SeededRandom::new(1));
        let body = &opaque.text.expose_secret()[10..];
        assert!(!format!("{opaque:?}").contains(body));
    }

    proptest! {
        #[test]
        fn a_mangled_text_is_no_token(seed in any::<u64>(), at in 4_usize..53, to in "[0-9A-Za-z]") {
            let text = make(Kind::RefreshToken, &SeededRandom::new(seed)).text;
            let mut wrong = text.expose_secret().to_owned();
            prop_assert_eq!(wrong.len(), 53);
            wrong.replace_range(at..=at, &to);
            prop_assert_eq!(read(Kind::RefreshToken, &wrong).is_some(), wrong == text.expose_secret());
        }

        #[test]
        fn nothing_that_a_stranger_sends_makes_reading_panic(text in ".{0,80}") {
            prop_assert_eq!(read(Kind::AccessToken, &text), None);
        }
    }
}
