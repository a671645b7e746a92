//! Passwords: argon2id with the crate's defaults, which are OWASP's first choice (19 MiB, 2 passes, 1 lane).
use argon2::{
    Argon2,
    password_hash::{PasswordHasher as _, PasswordVerifier as _, phc::PasswordHash},
};
use kernel::{Code, ExposeSecret as _, Fault, Result, SecretString, Sources, refusal};

/// The shortest password that is taken.
pub const LEAST: usize = 12;

/// The longest, in bytes: hashing must not become a way to keep the server busy.
const MOST: usize = 1024;

/// The PHC text of a password's hash. Takes some 20 ms of a core, on a thread of its own.
///
/// # Errors
/// Refuses passwords shorter than [`LEAST`] characters or longer than 1,024 bytes.
pub async fn hash(password: SecretString, sources: &Sources) -> Result<String> {
    let text = password.expose_secret();
    if text.len() > MOST {
        return Err(refusal(Code::InvalidArgument, format!("The password is longer than {MOST} bytes."))
            .next("Use a shorter one.")
            .into());
    }
    if text.chars().count() < LEAST {
        return Err(refusal(Code::InvalidArgument, format!("The password must have at least {LEAST} characters."))
            .next("A few unrelated words make a good one.")
            .into());
    }
    let mut salt = [0_u8; 16];
    sources.random.fill(&mut salt);
    tokio::task::spawn_blocking(move || {
        Argon2::default().hash_password_with_salt(password.expose_secret().as_bytes(), &salt).map(|h| h.to_string())
    })
    .await
    .map_err(|_| Fault::failed("hashing a password"))?
    .map_err(|_| Fault::failed("hashing a password"))
}

/// Whether the password is the one of the hash; a hash that cannot be read matches nothing.
pub async fn verify(password: SecretString, hash: String) -> bool {
    if password.expose_secret().len() > MOST {
        return false;
    }
    tokio::task::spawn_blocking(move || {
        PasswordHash::new(&hash)
            .is_ok_and(|parsed| Argon2::default().verify_password(password.expose_secret().as_bytes(), &parsed).is_ok())
    })
    .await
    .unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
