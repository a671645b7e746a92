//! Limits on guessing second factors and user codes, on registering clients, and on what anybody may have written. (Passwords have
//! theirs where people sign in.)
//!
//! Counts of failures in a window. Each attempt is counted *before* anything is compared and taken back when it was right, so that of
//! many at once no more are tried than may fail.
use kernel::{TimeDelta, Timestamp};

/// Whose tries a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Of {
    /// Of addresses and of what strangers bring: anybody can be many of them.
    Anybody,
    /// Of people who signed in, and of what they consented to.
    Known,
}

/// So many failures in so long a time, and then none until that time is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    pub failures: u32,
    pub window: TimeDelta,
    pub of: Of,
}
impl Limit {
    const fn known(failures: u32, minutes: i64) -> Self {
        Self { failures, window: TimeDelta::minutes(minutes), of: Of::Known }
    }
    const fn anybody(failures: u32, minutes: i64) -> Self {
        Self { failures, window: TimeDelta::minutes(minutes), of: Of::Anybody }
    }
}

/// Second factors of one user, after the password was right: a million codes, three of them valid at a time.
pub const SECOND_FACTOR: Limit = Limit::known(5, 15);
/// Passwords that are asked for again, per session: whoever finds one open guesses no more than this.
pub const PASSWORD_AGAIN: Limit = Limit::known(5, 15);
/// User codes of the device flow, per signed-in person: with 20^8 codes, a chance below 2^-32 for each that is live (RFC 8628 section 5.1).
pub const USER_CODE: Limit = Limit::known(5, 15);
/// The same per address: several people may share one.
pub const USER_CODE_ADDRESS: Limit = Limit::anybody(20, 15);
/// Metadata documents that one address makes ocore fetch, beside the copies that serve: nobody turns it on another's host.
pub const DOCUMENT: Limit = Limit::anybody(30, 15);
/// The same of key sets.
pub const KEY_SET: Limit = Limit::anybody(60, 15);
/// Sign-ins at OpenID providers that one address begins and does not end. Counted as failures are.
pub const PROVIDER: Limit = Limit::anybody(60, 15);
/// New registrations of clients from one address. Counted as failures are.
pub const REGISTRATION: Limit = Limit::anybody(30, 60);
/// Requests to the token, revocation and introspection endpoints from one address, right or wrong: hosts ask for many people from few
/// addresses, once in an hour for each.
pub const ENDPOINT: Limit = Limit::anybody(600, 1);
/// Refreshes of one family, all of which are written: a client needs one in an hour, and its workers some at once.
pub const FAMILY: Limit = Limit::known(240, 60);

/// What is kept of a subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Failures {
    pub count: u32,
    /// The first of them; none where there are none.
    pub since: Option<Timestamp>,
}
impl Failures {
    fn live(self, limit: Limit, now: Timestamp) -> bool {
        // A clock that was set back must not lock anybody out for longer than the window.
        self.since.is_some_and(|since| (now - since) < limit.window && now >= since - TimeDelta::minutes(1))
    }
    /// How long to wait before another attempt is looked at; none where it may be made now. To be asked *before* anything is compared.
    pub fn wait(self, limit: Limit, now: Timestamp) -> Option<TimeDelta> {
        let since = self.since.filter(|_| self.live(limit, now) && self.count >= limit.failures)?;
        Some(since + limit.window - now)
    }
    /// After one more.
    #[must_use]
    pub fn failed(self, limit: Limit, now: Timestamp) -> Self {
        match self.since {
            Some(since) if self.live(limit, now) => Self { count: self.count.saturating_add(1), since: Some(since) },
            _ => Self { count: 1, since: Some(now) },
        }
    }
    /// After the attempt that was counted last turned out right.
    #[must_use]
    pub fn taken_back(self) -> Self {
        match self.count {
            0 | 1 => Self::default(),
            count => Self { count: count - 1, ..self },
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + TimeDelta::seconds(1_000_000 + seconds)
    }

    #[test]
    fn the_limit_is_reached_and_forgotten() {
        let mut failures = Failures::default();
        for n in 0..5 {
            assert_eq!(failures.wait(SECOND_FACTOR, at(n)), None, "{n}");
            failures = failures.failed(SECOND_FACTOR, at(n));
        }
        assert_eq!(failures.wait(SECOND_FACTOR, at(5)), Some(TimeDelta::seconds(895)));
        assert_eq!(failures.wait(SECOND_FACTOR, at(899)), Some(TimeDelta::seconds(1)));
        assert_eq!(failures.wait(SECOND_FACTOR, at(900)), None);
        assert_eq!(failures.failed(SECOND_FACTOR, at(900)), Failures { count: 1, since: Some(at(900)) });
        assert_eq!(failures.wait(SECOND_FACTOR, at(-3600)), None, "a clock that was set back");
        let right = failures.taken_back();
        assert_eq!((right.count, right.wait(SECOND_FACTOR, at(5))), (4, None), "one of the five was right");
        assert_eq!(Failures { count: 1, since: Some(at(0)) }.taken_back(), Failures::default());
    }

    proptest! {
        #[test]
        fn nobody_gets_more_attempts_than_the_limit_in_a_window(waits in proptest::collection::vec(0_i64..200, 1..300)) {
            let (mut failures, mut now, mut tried) = (Failures::default(), 0, Vec::new());
            for wait in waits {
                now += wait;
                if failures.wait(USER_CODE, at(now)).is_none() {
                    failures = failures.failed(USER_CODE, at(now));
                    tried.push(now);
                }
            }
            // Windows begin with a first failure, so at most two lie in any stretch of one window's length.
            for begin in &tried {
                let within = tried.iter().filter(|t| (*begin..begin + 900).contains(t)).count();
                prop_assert!(within <= 2 * 5, "{within}");
            }
        }
    }
}
