//! How often somebody tried what is limited, in this process. What many subjects fill is bounded: the oldest are forgotten first.
use std::{collections::HashMap, fmt::Display};

use kernel::Timestamp;
use parking_lot::Mutex;

use crate::oauth::throttle::{Failures, Limit};

/// The most subjects that are counted at a time.
const MOST: usize = 100_000;

/// Counts by what is limited and of whom.
#[derive(Debug, Default)]
pub struct Counts(Mutex<Table>);
/// By what is limited and of whom.
type Table = HashMap<(&'static str, String), (Limit, Failures)>;
impl Counts {
    /// Counts one try, or gives the seconds to wait for the next, at least 1.
    ///
    /// # Errors
    /// When there were too many.
    pub fn take(&self, limit: Limit, what: &'static str, of: impl Display, now: Timestamp) -> Result<(), i64> {
        let mut table = self.0.lock();
        if table.len() >= MOST {
            table.retain(|_, (limit, failures)| failures.wait(*limit, now).is_some());
        }
        if table.len() >= MOST {
            table.clear();
        }
        let (_, failures) = table.entry((what, of.to_string())).or_insert((limit, Failures::default()));
        if let Some(wait) = failures.wait(limit, now) {
            return Err(wait.num_seconds().max(1));
        }
        *failures = failures.failed(limit, now);
        Ok(())
    }
    /// The last try was no guess.
    pub fn give_back(&self, what: &'static str, of: impl Display) {
        if let Some((_, failures)) = self.0.lock().get_mut(&(what, of.to_string())) {
            *failures = failures.taken_back();
        }
    }
}

#[cfg(test)]
mod tests {
    use kernel::{TimeDelta, parse_time};

    use super::*;
    use crate::oauth::throttle::USER_CODE;

    #[test]
    fn tries_are_counted_apart_and_given_back() {
        let counts = Counts::default();
        let now = parse_time("2026-01-01").unwrap();
        for _ in 0..USER_CODE.failures {
            counts.take(USER_CODE, "a", "ann", now).unwrap();
        }
        assert!(counts.take(USER_CODE, "a", "ann", now).unwrap_err() > 0);
        counts.take(USER_CODE, "a", "bob", now).unwrap();
        counts.take(USER_CODE, "b", "ann", now).unwrap();
        counts.give_back("a", "ann");
        counts.take(USER_CODE, "a", "ann", now).unwrap();
        counts.take(USER_CODE, "a", "ann", now + USER_CODE.window + TimeDelta::seconds(1)).unwrap();
    }
}
