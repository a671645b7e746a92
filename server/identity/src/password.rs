//! Passwords: argon2id with the crate's defaults, which are OWASP's first choice (19 MiB, 2 passes, 1 lane).
use argon2::{
    Argon2,
    password_hash::{PasswordHasher as _, PasswordVerifier as _, phc::PasswordHash},
};
use kernel::{Code, ExposeSecret as _, Fault, Result, SecretString, Sources, refusal};
use tokio::sync::Semaphore;

/// The shortest password that is taken.
pub const LEAST: usize = 12;

/// The longest, in bytes: hashing must not become a way to keep the server busy.
const MOST: usize = 1024;

/// Hashes at a time: each takes 19 MiB and a core, and the threads for such work are hundreds. Who comes later waits.
const AT_ONCE: usize = 4;
static TURNS: Semaphore = Semaphore::const_new(AT_ONCE);

/// Why a password is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weak {
    /// Fewer than [`LEAST`] characters.
    Short,
    /// More than 1,024 bytes.
    Long,
    /// Among those that are tried first.
    Common,
}

/// Long enough, and tried first all the same. In lower case, without digits and signs at the end.
const TRIED_FIRST: [&str; 22] = [
    "abcdefghijkl",
    "abcdefghijklm",
    "adminadmin",
    "administrator",
    "changemechangeme",
    "correcthorsebatterystaple",
    "correct horse battery staple",
    "iloveyouiloveyou",
    "letmeinletmein",
    "motdepasse",
    "odooodooodoo",
    "ocoreocore",
    "passwordpassword",
    "passwort",
    "password",
    "qwertyqwerty",
    "qwertyuiop",
    "qwertzuiop",
    "qwertyuiopasdf",
    "superadministrator",
    "welcomewelcome",
    "zxcvbnmasdfghjkl",
];

/// Whether a person may choose that password. `email` is the person's address.
pub fn weak(password: &SecretString, email: &str) -> Option<Weak> {
    let text = password.expose_secret();
    if text.len() > MOST {
        return Some(Weak::Long);
    }
    if text.chars().count() < LEAST {
        return Some(Weak::Short);
    }
    let lower = text.trim().to_lowercase();
    let few = lower.chars().collect::<std::collections::HashSet<_>>().len() < 5;
    let counted = "0123456789".repeat(3);
    let digits = counted.contains(&*lower) || counted.chars().rev().collect::<String>().contains(&*lower);
    let own = lower == email.trim().to_lowercase();
    let word = lower.trim_end_matches(|c: char| c.is_ascii_digit() || c.is_ascii_punctuation());
    (few || digits || own || TRIED_FIRST.contains(&word)).then_some(Weak::Common)
}

/// The PHC text of a password's hash. Takes some 20 ms of a core, on a thread of its own.
///
/// # Errors
/// Refuses passwords shorter than [`LEAST`] characters or longer than 1,024 bytes.
pub async fn hash(password: SecretString, sources: &Sources) -> Result<String> {
    let text = password.expose_secret();
    if text.len() > MOST {
        return Err(refusal(Code::InvalidArgument, format!("The password is longer than {MOST} bytes."))
            .next(format!("Use one of {LEAST} characters to {MOST} bytes; a few unrelated words make a good one."))
            .into());
    }
    if text.chars().count() < LEAST {
        return Err(refusal(Code::InvalidArgument, format!("The password must have at least {LEAST} characters."))
            .next("A few unrelated words make a good one.")
            .into());
    }
    let mut salt = [0_u8; 16];
    sources.random.fill(&mut salt);
    in_turn(&TURNS, move || {
        Argon2::default().hash_password_with_salt(password.expose_secret().as_bytes(), &salt).map(|h| h.to_string())
    })
    .await
    .and_then(std::result::Result::ok)
    .ok_or_else(|| Fault::failed("hashing a password"))
}

/// Whether the password is the one of the hash; a hash that cannot be read matches nothing, and neither does a password that is longer
/// than any that was taken.
pub async fn verify(password: SecretString, hash: String) -> bool {
    if password.expose_secret().len() > MOST {
        return false;
    }
    in_turn(&TURNS, move || {
        PasswordHash::new(&hash)
            .is_ok_and(|parsed| Argon2::default().verify_password(password.expose_secret().as_bytes(), &parsed).is_ok())
    })
    .await
    .unwrap_or(false)
}

/// Runs heavy work on a thread of its own when it is its turn. The turn lasts as long as the work, also when nobody waits for it any
/// more: whoever breaks off many requests must not have them all computed at once. None when the work panicked.
async fn in_turn<T: Send + 'static>(turns: &'static Semaphore, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let turn = turns.acquire().await.ok()?;
    tokio::task::spawn_blocking(move || {
        let _turn = turn;
        work()
    })
    .await
    .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_tried_first_is_not_taken() {
        let weak = |text: &str| weak(&text.to_owned().into(), "ann.smith@example.com");
        assert_eq!(weak("short"), Some(Weak::Short));
        assert_eq!(weak(&"long".repeat(300)), Some(Weak::Long));
        for common in [
            "aaaaaaaaaaaa",
            "abababababab",
            "123456789012",
            "987654321098",
            "Password2026!",
            "Ann.Smith@example.com",
            "passwordpassword",
        ] {
            assert_eq!(weak(common), Some(Weak::Common), "{common}");
        }
        for fine in ["correct horse battery", "ä quiet yellow bus", "k2$9fLq!x0zzP"] {
            assert_eq!(weak(fine), None, "{fine}");
        }
    }

    #[tokio::test]
    async fn a_password_verifies_against_its_own_hash_alone() {
        let sources = Sources::system();
        let hash = super::hash("correct horse battery".to_owned().into(), &sources).await.unwrap();
        assert!(hash.starts_with("$argon2id$"));
        assert!(verify("correct horse battery".to_owned().into(), hash.clone()).await);
        assert!(!verify("correct horse batterz".to_owned().into(), hash).await);
        assert!(!verify("x".to_owned().into(), "no hash".to_owned()).await);
        assert!(super::hash("short".to_owned().into(), &sources).await.is_err());
    }

    #[tokio::test]
    async fn lengths_are_bounded_and_the_refusals_say_how() {
        let sources = Sources::system();
        let refused = async |text: String| match super::hash(text.into(), &sources).await {
            Err(Fault::Refused(refused)) => (refused.message.into_owned(), refused.next.into_owned()),
            other => panic!("{other:?}"),
        };
        let (short, _) = refused("x".repeat(LEAST - 1)).await;
        let (long, next) = refused("x".repeat(MOST + 1)).await;
        assert!(short.contains("at least 12") && !long.contains("at least") && long.contains("longer than 1024"), "{long}");
        assert!(next.contains("1024"), "{next}");
        assert!(refused("ä".repeat(MOST / 2 + 1)).await.0.contains("longer"), "bytes, not characters");
        let longest = "x".repeat(MOST);
        let hash = super::hash(longest.clone().into(), &sources).await.unwrap();
        assert!(verify(longest.clone().into(), hash.clone()).await);
        assert!(!verify(format!("{longest}x").into(), hash).await);
    }

    #[tokio::test]
    async fn few_hashes_are_computed_at_once_though_nobody_waits_for_them() {
        use std::{
            sync::{
                Arc,
                atomic::{AtomicUsize, Ordering::SeqCst},
            },
            time::Duration,
        };
        static TWO: Semaphore = Semaphore::const_new(2);
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let job = || {
            let (now, most) = (Arc::clone(&now), Arc::clone(&most));
            in_turn(&TWO, move || {
                most.fetch_max(now.fetch_add(1, SeqCst) + 1, SeqCst);
                std::thread::sleep(Duration::from_millis(50));
                now.fetch_sub(1, SeqCst);
            })
        };
        for round in 0..3 {
            // Broken off while the first ones run.
            let broken_off: Vec<_> = (0..6).map(|_| tokio::spawn(job())).collect();
            tokio::time::sleep(Duration::from_millis(20)).await;
            broken_off.iter().for_each(tokio::task::JoinHandle::abort);
            let waited: Vec<_> = (0..4).map(|_| tokio::spawn(job())).collect();
            for task in waited {
                assert_eq!(task.await.unwrap(), Some(()), "round {round}");
            }
        }
        assert_eq!(most.load(SeqCst), 2);
        assert_eq!(in_turn::<()>(&TWO, || panic!("in the work")).await, None);
        assert_eq!(TWO.available_permits(), 2);
    }
}
