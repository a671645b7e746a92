//! The device flow (RFC 8628): a program without a browser shows a short code, a person types it where a browser is and approves.
//!
//! Whoever gets a person to approve *their* code has that person's access, so the page shows who asks, from which address, and never
//! fills in the approval by itself.
//!
//! | decision | compare-and-set | beside it |
//! |---|---|---|
//! | [`Poll::Wait`] | `UPDATE oauth_device_codes SET polled_at = now, interval_seconds = I WHERE hash = H` | |
//! | [`Poll::SlowDown`] | nothing is written: the process remembers it, for whoever polls without a pause must not keep the store busy | |
//! | [`Poll::Redeem`] | `UPDATE oauth_device_codes SET state = 'redeemed', family_id = F WHERE hash = H AND state = 'approved'` | in one transaction: insert the family before it, its first tokens after it; no row: roll back, decide again |
//! | [`Poll::Replay`] | revoke the family | |
//! | [`answer`] | `UPDATE oauth_device_codes SET state = …, grant_id = … WHERE user_code_hash = U AND state = 'pending' AND expires_at > now` | no row: decide again |
use serde::{Serialize, Serializer, ser::SerializeMap as _};

use crate::oauth::{
    error::{Code, OauthError},
    opaque::{self, Hash},
    resource::{PublicUrl, Resource},
    scope::Scopes,
};
use kernel::{ExposeSecret as _, FamilyId, GrantId, Random, SecretString, TimeDelta, Timestamp};

/// Of both codes.
pub const LIFE: TimeDelta = TimeDelta::minutes(15);
/// Seconds between polls, at first.
pub const INTERVAL: i64 = 5;
/// What each `slow_down` adds (section 3.5), and where that ends.
const STEP: i64 = 5;
const SLOWEST: i64 = 60;
/// How much too early a poll may be: networks are not even.
const EARLY: TimeDelta = TimeDelta::seconds(1);

/// Consonants: no vowel makes a word of a code, no digit is taken for a letter (section 6.1).
const ALPHABET: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";
const LENGTH: usize = 8;

/// The code that people type.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct UserCode(String);
impl UserCode {
    /// A new one of 20^8, each as likely. A live one with the same hash may be there: then make another.
    pub fn make(random: &dyn Random) -> Self {
        let mut text = String::new();
        while text.len() < LENGTH {
            let mut bytes = [0_u8; 16];
            random.fill(&mut bytes);
            // Bytes from 240 up would make the first letters likelier.
            let fair = bytes.iter().filter(|b| **b < 240).filter_map(|b| ALPHABET.get(usize::from(b % 20)));
            text.extend(fair.map(|b| char::from(*b)).take(LENGTH - text.len()));
        }
        Self(text)
    }
    /// What was typed, in any case, with any hyphens, dots and spaces. None for what cannot be a code; that too counts as a guess.
    pub fn parse(typed: &str) -> Option<Self> {
        if typed.len() > 64 {
            return None;
        }
        let separates = |c: char| c.is_whitespace() || matches!(c, '-' | '.' | '_' | '\u{2010}'..='\u{2015}' | '\u{2212}');
        let text: String = typed.chars().filter(|c| !separates(*c)).map(|c| c.to_ascii_uppercase()).collect();
        (text.len() == LENGTH && text.bytes().all(|b| ALPHABET.contains(&b))).then_some(Self(text))
    }
    /// What is stored of it, until it expires.
    pub fn hash(&self) -> Hash {
        opaque::hash(&self.0)
    }
}
impl std::fmt::Display for UserCode {
    /// `BCKF-HMLT`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (one, two) = self.0.split_at_checked(LENGTH / 2).unwrap_or((&self.0, ""));
        write!(f, "{one}-{two}")
    }
}

/// The body of the device authorization response (section 3.2). To be sent with `Cache-Control: no-store`.
#[derive(Debug)]
pub struct DeviceAuthorization {
    /// For the program.
    pub device_code: SecretString,
    /// For the person.
    pub user_code: UserCode,
    /// Where the page is.
    pub public: PublicUrl,
}
impl DeviceAuthorization {
    /// With the code in it: what the QR code says. The page still asks for a comparison and an approval (section 5.4).
    pub fn complete_uri(&self) -> String {
        self.public.join(&format!("/device?user_code={}", self.user_code))
    }
}
impl Serialize for DeviceAuthorization {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut body = serializer.serialize_map(None)?;
        body.serialize_entry("device_code", self.device_code.expose_secret())?;
        body.serialize_entry("user_code", &self.user_code.to_string())?;
        body.serialize_entry("verification_uri", &self.public.join("/device"))?;
        body.serialize_entry("verification_uri_complete", &self.complete_uri())?;
        body.serialize_entry("expires_in", &LIFE.num_seconds())?;
        body.serialize_entry("interval", &INTERVAL)?;
        body.end()
    }
}

/// Where a request stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Nobody answered.
    Pending,
    /// A person consented; the next poll gives tokens.
    Approved { grant: GrantId },
    /// A person refused.
    Denied,
    /// It gave these tokens.
    Redeemed { family: FamilyId },
}

/// A device code, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceCode {
    /// Who may poll with it.
    pub client: String,
    /// What was asked for.
    pub scopes: Scopes,
    pub resource: Resource,
    pub state: State,
    pub expires_at: Timestamp,
    /// Seconds.
    pub interval: i64,
    /// The last poll.
    pub polled_at: Option<Timestamp>,
}

/// What becomes of a poll.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Poll {
    /// Nobody answered yet.
    Wait(OauthError),
    /// Nobody answered yet, and it came too early: from now on with this interval, in seconds.
    SlowDown { interval: i64, error: OauthError },
    /// Give tokens of this grant.
    Redeem { grant: GrantId },
    /// It gave tokens before: end what it gave, because two hold the code.
    Replay { revoke: FamilyId, error: OauthError },
    /// Nothing is to be done.
    Refuse(OauthError),
}

/// Decides on a token request with a device code that was found by its hash (section 3.5).
pub fn poll(code: &DeviceCode, client: &str, now: Timestamp) -> Poll {
    if client != code.client {
        return Poll::Refuse(OauthError::new(Code::InvalidGrant, "The device code was given to another client. Begin again."));
    }
    if let State::Redeemed { family } = &code.state {
        return Poll::Replay {
            revoke: *family,
            error: OauthError::new(Code::InvalidGrant, "The device code was used before; what it gave is revoked. Begin again."),
        };
    }
    if code.expires_at <= now {
        return Poll::Refuse(OauthError::new(
            Code::ExpiredToken,
            "Nobody approved the code within 15 minutes. Begin again to get a new one.",
        ));
    }
    match &code.state {
        State::Approved { grant } => Poll::Redeem { grant: *grant },
        State::Denied => Poll::Refuse(OauthError::new(Code::AccessDenied, "The person refused the request.")),
        _ => {
            let due = code.polled_at.map(|at| at + TimeDelta::seconds(code.interval) - EARLY);
            if due.is_none_or(|due| now >= due) {
                return Poll::Wait(OauthError::new(Code::AuthorizationPending, "Nobody approved the code yet. Go on polling."));
            }
            let interval = (code.interval + STEP).min(SLOWEST);
            Poll::SlowDown {
                interval,
                error: OauthError::new(Code::SlowDown, format!("This is too often. From now on poll every {interval} seconds.")),
            }
        }
    }
}

/// What a person answers on the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Yes, with this consent.
    Approve(GrantId),
    /// No.
    Deny,
}

/// Why an answer comes to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotOpen {
    #[error("the code has expired; begin again in the program that showed it")]
    Expired,
    #[error("the code was answered already; if that was not you, look at your authorizations and revoke what you do not know")]
    Answered,
}

/// The state after an answer to a code that was found by its user code.
///
/// # Errors
/// [`NotOpen`]: an answer is given once and never changed.
pub fn answer(code: &DeviceCode, answer: Answer, now: Timestamp) -> Result<State, NotOpen> {
    match code.state {
        State::Pending if code.expires_at <= now => Err(NotOpen::Expired),
        State::Pending => Ok(match answer {
            Answer::Approve(grant) => State::Approved { grant },
            Answer::Deny => State::Denied,
        }),
        _ => Err(NotOpen::Answered),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::oauth::testing::*;
    use crate::oauth::{scope::Scope, throttle};
    use kernel::SeededRandom;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + TimeDelta::seconds(seconds)
    }
    fn code() -> DeviceCode {
        DeviceCode {
            client: "ocore-cli".into(),
            scopes: Scopes::new([Scope::Read]),
            resource: Resource::Everything,
            state: State::Pending,
            expires_at: at(0) + LIFE,
            interval: INTERVAL,
            polled_at: None,
        }
    }
    fn error(poll: &Poll) -> &'static str {
        match poll {
            Poll::Wait(e) | Poll::Refuse(e) | Poll::SlowDown { error: e, .. } | Poll::Replay { error: e, .. } => {
                e.code().as_str()
            }
            Poll::Redeem { .. } => "none",
        }
    }

    #[test]
    fn user_codes_are_eight_consonants_and_typed_in_any_way() {
        let code = UserCode::make(&SeededRandom::new(1));
        let shown = code.to_string();
        assert!(shown.len() == 9 && shown.as_bytes()[4] == b'-');
        for typed in ["BCKF-HMLT", "bckfhmlt", " BcKf hMlT ", "BCKF–HMLT", "B.C.K.F.H.M.L.T", "BCKF - HMLT\n"] {
            assert_eq!(UserCode::parse(typed).unwrap().to_string(), "BCKF-HMLT", "{typed:?}");
        }
        for bad in
            ["", "BCKF-HML", "BCKF-HMLTX", "ACKF-HMLT", "BCKF-HML1", "ВCKF-HMLT", "BCKF/HMLT", "BCKF-HMLT;", &"-".repeat(70)]
        {
            assert_eq!(UserCode::parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn every_letter_is_as_likely() {
        let random = SeededRandom::new(3);
        let mut counts = [0_i32; 26];
        for _ in 0..20_000 {
            UserCode::make(&random).0.bytes().for_each(|b| counts[usize::from(b - b'A')] += 1);
        }
        let used: Vec<_> = counts.into_iter().filter(|c| *c > 0).collect();
        // Chi squared with 19 degrees of freedom: above 44 once in a thousand; the bias of a plain remainder makes it 170.
        let chi: f64 = used.iter().map(|c| f64::from(c - 8_000).powi(2) / 8_000.0).sum();
        assert!(used.len() == 20 && chi < 44.0, "{chi} {counts:?}");
    }

    #[test]
    fn the_response_is_the_one_of_the_rfc() {
        let response = DeviceAuthorization {
            device_code: "ocd_x".into(),
            user_code: UserCode::parse("BCKFHMLT").unwrap(),
            public: PublicUrl::parse("https://ocore.example").unwrap(),
        };
        assert_eq!(
            serde_json::to_value(&response).unwrap(),
            json!({"device_code": "ocd_x", "user_code": "BCKF-HMLT", "verification_uri": "https://ocore.example/device",
                "verification_uri_complete": "https://ocore.example/device?user_code=BCKF-HMLT", "expires_in": 900, "interval": 5})
        );
        assert!(!format!("{response:?}").contains("ocd_x"));
    }

    #[test]
    fn polls_are_answered_by_state_and_time() {
        let polled = |seconds| DeviceCode { polled_at: Some(at(seconds)), ..code() };
        for (code, now, meant) in [
            (code(), 0, "authorization_pending"),
            (polled(0), 4, "authorization_pending"),
            (polled(0), 3, "slow_down"),
            (DeviceCode { interval: 10, ..polled(0) }, 8, "slow_down"),
            (code(), 899, "authorization_pending"),
            (code(), 900, "expired_token"),
            (DeviceCode { state: State::Denied, ..code() }, 1, "access_denied"),
            (DeviceCode { state: State::Approved { grant: a_grant() }, ..code() }, 899, "none"),
            (DeviceCode { state: State::Approved { grant: a_grant() }, ..code() }, 900, "expired_token"),
            (DeviceCode { state: State::Redeemed { family: a_family() }, ..code() }, 1, "invalid_grant"),
        ] {
            assert_eq!(error(&poll(&code, "ocore-cli", at(now))), meant, "{code:?} at {now}");
            assert_eq!(error(&poll(&code, "another", at(now))), "invalid_grant");
        }
        let replay = poll(&DeviceCode { state: State::Redeemed { family: a_family() }, ..code() }, "ocore-cli", at(9999));
        assert!(matches!(replay, Poll::Replay { revoke, .. } if revoke == a_family()));
        assert!(matches!(poll(&polled(0), "ocore-cli", at(1)), Poll::SlowDown { interval: 10, .. }));
        assert!(matches!(
            poll(&DeviceCode { interval: 60, ..polled(0) }, "ocore-cli", at(1)),
            Poll::SlowDown { interval: 60, .. }
        ));
    }

    #[test]
    fn a_code_is_answered_once_and_in_time() {
        let approve = || Answer::Approve(a_grant());
        assert_eq!(answer(&code(), approve(), at(1)), Ok(State::Approved { grant: a_grant() }));
        assert_eq!(answer(&code(), Answer::Deny, at(1)), Ok(State::Denied));
        assert_eq!(answer(&code(), approve(), at(900)), Err(NotOpen::Expired));
        for state in [State::Denied, State::Approved { grant: other_grant() }, State::Redeemed { family: a_family() }] {
            assert_eq!(answer(&DeviceCode { state, ..code() }, approve(), at(1)), Err(NotOpen::Answered));
        }
    }

    #[test]
    fn guessing_through_the_limit_has_less_than_one_chance_in_four_billion() {
        // Per signed-in person and code; RFC 8628 section 5.1 takes 2^-32 for its example.
        let limit = throttle::USER_CODE;
        let guesses_a_year = f64::from(limit.failures) * 365.0 * 24.0 * 60.0 / 15.0;
        let codes = 20_f64.powi(8);
        assert!(guesses_a_year / codes < 1e-4, "one code");
        assert!(f64::from(limit.failures) / codes < 2_f64.powi(-32), "within one code's life");
    }

    proptest! {
        #[test]
        fn what_is_shown_is_what_is_typed(seed in any::<u64>(), lower in any::<bool>()) {
            let code = UserCode::make(&SeededRandom::new(seed));
            let typed = if lower { code.to_string().to_lowercase() } else { code.to_string() };
            prop_assert_eq!(UserCode::parse(&typed), Some(code.clone()));
            prop_assert_eq!(UserCode::parse(&typed).unwrap().hash(), code.hash());
        }

        #[test]
        fn typing_never_panics(typed in ".{0,80}") {
            if let Some(code) = UserCode::parse(&typed) {
                prop_assert_eq!(code.0.len(), 8);
            }
        }

        /// Any polls and answers in any order: tokens are given once, only after an approval, only in time, and a poll that keeps to the
        /// interval is never slowed down.
        #[test]
        fn tokens_are_given_once_after_approval_in_time(steps in proptest::collection::vec((0_u8..4, 0_i64..60), 1..60)) {
            let (mut row, mut now, mut given, mut approved) = (code(), 0, 0, false);
            for (step, wait) in steps {
                now += wait;
                match step {
                    0 => {
                        if let Ok(state) = answer(&row, Answer::Approve(a_grant()), at(now)) {
                            (row.state, approved) = (state, true);
                        }
                    }
                    1 if now % 7 == 0 => {
                        if let Ok(state) = answer(&row, Answer::Deny, at(now)) {
                            row.state = state;
                        }
                    }
                    _ => match poll(&row, "ocore-cli", at(now)) {
                        Poll::Wait(_) => row.polled_at = Some(at(now)),
                        Poll::SlowDown { interval, .. } => {
                            prop_assert!(row.polled_at.is_some_and(|p| at(now) - p < TimeDelta::seconds(row.interval)));
                            (row.interval, row.polled_at) = (interval, Some(at(now)));
                        }
                        Poll::Redeem { .. } => {
                            given += 1;
                            prop_assert!(approved && now < 900);
                            row.state = State::Redeemed { family: a_family() };
                        }
                        Poll::Replay { .. } => prop_assert_eq!(given, 1),
                        Poll::Refuse(_) => prop_assert!(now >= 900 || row.state == State::Denied),
                    },
                }
            }
            prop_assert!(given <= 1);
        }
    }
}
