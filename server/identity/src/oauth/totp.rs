//! The second factor: time-based one-time passwords (RFC 6238), and recovery codes for the day when the telephone is lost.
//!
//! The defaults that every authenticator knows: SHA-1, six digits, 30 seconds. A code is taken once: the store keeps the last step that
//! was used, `UPDATE user_totp SET last_step = S WHERE user_id = U AND (last_step IS NULL OR last_step < S)`, and a code whose update changes
//! no row is refused. The secret is sealed at rest; recovery codes are stored as SHA-256, and used by
//! `DELETE FROM user_recovery_codes WHERE user_id = U AND hash = H`, which must change a row.
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::SecretBox;
use subtle::ConstantTimeEq as _;
use totp_rs::{Builder, Totp};

use crate::oauth::opaque::{self, Hash};
use kernel::{ExposeSecret as _, Random, SecretString, Timestamp};

/// Seconds of a step (RFC 6238 section 5.2).
pub const STEP: i64 = 30;
/// How many steps a clock may be off, either way.
const DRIFT: i64 = 1;
const DIGITS: usize = 6;

/// What authenticator and ocore share: 160 bits (RFC 4226 section 4).
pub type Secret = SecretBox<[u8; 20]>;

/// A new one.
pub fn new_secret(random: &dyn Random) -> Secret {
    let mut bytes = [0; 20];
    random.fill(&mut bytes);
    SecretBox::new(Box::new(bytes))
}

/// The `otpauth` URL for the QR code, and the secret in base 32 for those who type it. `issuer` is how the installation is called,
/// `account` the user's address.
pub fn uri(secret: &Secret, issuer: &str, account: &str) -> (SecretString, SecretString) {
    let text = totp_rs::Secret::new_stack(*secret.expose_secret()).to_base32();
    // A colon separates the two, so neither may have one.
    let plain = |t: &str| utf8_percent_encode(&t.replace(':', " "), NON_ALPHANUMERIC).to_string();
    let (issuer, account) = (plain(issuer), plain(account));
    let uri =
        format!("otpauth://totp/{issuer}:{account}?secret={text}&issuer={issuer}&algorithm=SHA1&digits={DIGITS}&period={STEP}");
    (uri.into(), text.into())
}

/// The step of a typed code that is right now, at most one step off, and not used before. `last_step` is the last that was. Every step
/// of the window is computed and compared in constant time, whatever was typed.
pub fn check(secret: &Secret, typed: &str, now: Timestamp, last_step: Option<i64>) -> Option<i64> {
    let digits: String = typed.chars().filter(|c| !c.is_whitespace() && *c != '-').take(DIGITS + 1).collect();
    let totp = generator(*secret.expose_secret())?;
    let present = now.timestamp().div_euclid(STEP);
    let mut found = None;
    for step in present - DRIFT..=present + DRIFT {
        let Ok(time) = u64::try_from(step.saturating_mul(STEP)) else { continue };
        let right = totp.generate(time).to_string();
        let same = bool::from(right.as_bytes().ct_eq(digits.as_bytes()));
        if same && last_step.is_none_or(|last| step > last) {
            found = Some(step);
        }
    }
    found
}

fn generator(secret: [u8; 20]) -> Option<Totp> {
    Builder::new().with_secret(totp_rs::Secret::new_stack(secret)).build().ok()
}

/// How many recovery codes a user gets.
pub const RECOVERY_CODES: usize = 10;
/// Crockford's base 32: what could be mistaken is read as what it stands for.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const LENGTH: usize = 16;

/// Ten codes of 80 bits, `xxxx-xxxx-xxxx-xxxx`: shown once; their hashes are stored.
pub fn recovery_codes(random: &dyn Random) -> Vec<(SecretString, Hash)> {
    let one = || {
        let mut bytes = [0_u8; LENGTH];
        random.fill(&mut bytes);
        let text: String = bytes.iter().filter_map(|b| ALPHABET.get(usize::from(b % 32))).map(|b| char::from(*b)).collect();
        let groups: Vec<_> = text.as_bytes().chunks(4).map(|g| String::from_utf8_lossy(g).into_owned()).collect();
        (SecretString::from(groups.join("-")), opaque::hash(&text))
    };
    (0..RECOVERY_CODES).map(|_| one()).collect()
}

/// The hash of a typed recovery code; none for what cannot be one.
pub fn recovery_hash(typed: &str) -> Option<Hash> {
    let read = |c: char| match c.to_ascii_lowercase() {
        'i' | 'l' => '1',
        'o' => '0',
        other => other,
    };
    if typed.len() > 64 {
        return None;
    }
    let text: String = typed.chars().filter(|c| !c.is_whitespace() && *c != '-').map(read).collect();
    (text.len() == LENGTH && text.bytes().all(|b| ALPHABET.contains(&b))).then(|| opaque::hash(&text))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use kernel::{SeededRandom, TimeDelta};

    fn secret() -> Secret {
        SecretBox::new(Box::new(*b"12345678901234567890"))
    }
    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_timestamp(seconds, 0).unwrap()
    }
    fn right(now: Timestamp) -> String {
        generator(*secret().expose_secret()).unwrap().generate(u64::try_from(now.timestamp()).unwrap()).to_string()
    }

    #[test]
    fn the_vectors_of_rfc_6238_come_out() {
        let eight =
            Builder::new().with_digits(8).with_secret(totp_rs::Secret::new_stack(*secret().expose_secret())).build().unwrap();
        for (time, code) in [
            (59, "94287082"),
            (1_111_111_109, "07081804"),
            (1_111_111_111, "14050471"),
            (1_234_567_890, "89005924"),
            (2_000_000_000, "69279037"),
            (20_000_000_000, "65353130"),
        ] {
            assert_eq!(eight.generate(time).to_string(), code);
            // Six digits are the last six of the eight.
            let now = at(i64::try_from(time).unwrap());
            assert_eq!(check(&secret(), &code[2..], now, None), Some(now.timestamp() / 30), "{time}");
        }
    }

    #[test]
    fn one_step_off_is_right_and_two_are_not() {
        let now = at(1_790_000_010);
        let code = right(now);
        for (seconds, fine) in [(-60, false), (-30, true), (0, true), (30, true), (60, false)] {
            assert_eq!(check(&secret(), &code, now + TimeDelta::seconds(seconds), None).is_some(), fine, "{seconds}");
        }
        let spaced = format!(" {} {}", &code[..3], &code[3..]);
        assert!(check(&secret(), &spaced, now, None).is_some());
        for bad in ["", "12345", &format!("{code}0"), &format!("0{code}"), "abcdef", "١٢٣٤٥٦", "000000\0"] {
            assert_eq!(check(&secret(), bad, now, None), None, "{bad}");
        }
        assert_eq!(check(&secret(), "000000", at(0), None).is_some(), right(at(0)) == "000000", "before any step nothing breaks");
    }

    #[test]
    fn a_code_is_taken_once_and_no_older_one_after_it() {
        let now = at(1_790_000_010);
        let step = check(&secret(), &right(now), now, None).unwrap();
        assert_eq!(check(&secret(), &right(now), now, Some(step)), None);
        assert_eq!(check(&secret(), &right(now), now + TimeDelta::seconds(30), Some(step)), None, "nor in the next step");
        let before = now - TimeDelta::seconds(30);
        assert_eq!(check(&secret(), &right(before), now, Some(step)), None);
        let after = now + TimeDelta::seconds(30);
        assert_eq!(check(&secret(), &right(after), after, Some(step)), Some(step + 1));
    }

    #[test]
    fn the_uri_is_what_authenticators_read() {
        let (uri, text) = uri(&secret(), "ocore: test", "anna+odoo@example.com");
        assert_eq!(text.expose_secret(), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        let url = url::Url::parse(uri.expose_secret()).unwrap();
        assert_eq!((url.scheme(), url.host_str()), ("otpauth", Some("totp")));
        let pairs: std::collections::HashMap<_, _> = url.query_pairs().into_owned().collect();
        assert_eq!(pairs["secret"], text.expose_secret());
        assert_eq!(
            (&*pairs["issuer"], &*pairs["digits"], &*pairs["period"], &*pairs["algorithm"]),
            ("ocore  test", "6", "30", "SHA1")
        );
        assert!(!format!("{:?} {:?}", secret(), uri).contains("GEZD"));
    }

    #[test]
    fn recovery_codes_are_typed_in_any_way_and_stored_as_hashes() {
        let codes = recovery_codes(&SeededRandom::new(1));
        let hashes: std::collections::HashSet<_> = codes.iter().map(|(_, h)| *h).collect();
        assert_eq!(hashes.len(), RECOVERY_CODES);
        for (code, hash) in &codes {
            let shown = code.expose_secret();
            assert_eq!(shown.len(), 19);
            for typed in
                [shown.to_owned(), shown.to_uppercase(), shown.replace('-', ""), shown.replace('0', "O").replace('1', "l")]
            {
                assert_eq!(recovery_hash(&typed), Some(*hash), "{typed}");
            }
        }
        for bad in ["", "1234", "uuuu-uuuu-uuuu-uuuu", &"0".repeat(17), "ääääääää"] {
            assert_eq!(recovery_hash(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn in_any_order_of_attempts_each_step_is_taken_at_most_once(attempts in proptest::collection::vec((0_i64..200, -2_i64..3), 1..40)) {
            let (mut now, mut last, mut taken) = (1_790_000_000, None, Vec::new());
            for (wait, off) in attempts {
                now += wait;
                let code = right(at(now + off * 30));
                if let Some(step) = check(&secret(), &code, at(now), last) {
                    prop_assert!(last.is_none_or(|l| step > l) && (step - now / 30).abs() <= 1);
                    taken.push(step);
                    last = Some(step);
                }
            }
            let all = taken.len();
            taken.dedup();
            prop_assert_eq!(taken.len(), all);
        }

        #[test]
        fn typing_never_panics(typed in ".{0,40}", now in -100_000_i64..4_000_000_000) {
            let _ = check(&secret(), &typed, at(now), None);
            let _ = recovery_hash(&typed);
        }
    }
}
