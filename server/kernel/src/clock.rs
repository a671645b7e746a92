//! Time and randomness are parameters: everything that needs one takes [`Sources`], and tests bring their own.
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
};

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};

/// A point in time, UTC, truncated to microseconds (what both stores keep).
pub type Timestamp = DateTime<Utc>;

pub trait Clock: fmt::Debug + Send + Sync {
    fn now(&self) -> Timestamp;
}
pub trait Random: fmt::Debug + Send + Sync {
    /// Fills the whole buffer with unpredictable bytes.
    fn fill(&self, buffer: &mut [u8]);
}

/// The two sources of everything that is not a function of its arguments.
#[derive(Debug, Clone)]
pub struct Sources {
    pub clock: Arc<dyn Clock>,
    pub random: Arc<dyn Random>,
}
impl Sources {
    /// The machine's clock and the kernel's random source.
    pub fn system() -> Self {
        Self { clock: Arc::new(SystemClock), random: Arc::new(SystemRandom) }
    }
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

#[derive(Debug, Clone, Copy)]
pub struct SystemClock;
impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place where the wall clock is read")]
    fn now(&self) -> Timestamp {
        let now = Utc::now();
        DateTime::from_timestamp_micros(now.timestamp_micros()).unwrap_or(now)
    }
}

#[derive(Debug, Clone, Copy)]
pub struct SystemRandom;
impl Random for SystemRandom {
    #[expect(clippy::disallowed_methods, reason = "the one place where the random source is read")]
    // Without randomness no key, id or token may be made: there is nothing to go on with.
    fn fill(&self, buffer: &mut [u8]) {
        assert!(getrandom::fill(buffer).is_ok(), "the operating system has no random source");
    }
}

/// A clock for tests that stands still until it is moved.
#[derive(Debug)]
pub struct ManualClock(AtomicI64);
impl ManualClock {
    pub fn at(time: Timestamp) -> Self {
        Self(AtomicI64::new(time.timestamp_micros()))
    }
    pub fn advance(&self, by: TimeDelta) {
        self.0.fetch_add(by.num_microseconds().unwrap_or(0), Ordering::SeqCst);
    }
}
impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        DateTime::from_timestamp_micros(self.0.load(Ordering::SeqCst)).unwrap_or_default()
    }
}

/// A reproducible source for tests (splitmix64). Never for anything secret.
#[derive(Debug)]
pub struct SeededRandom(AtomicU64);
impl SeededRandom {
    pub fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }
}
impl Random for SeededRandom {
    fn fill(&self, buffer: &mut [u8]) {
        for chunk in buffer.chunks_mut(8) {
            let mut z = self.0.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::SeqCst).wrapping_add(0x9E37_79B9_7F4A_7C15);
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            for (to, from) in chunk.iter_mut().zip((z ^ (z >> 31)).to_le_bytes()) {
                *to = from;
            }
        }
    }
}

/// RFC 3339, UTC, microseconds: the one text form in the stores and on the wire. Sorts as text.
pub fn time_text(time: Timestamp) -> String {
    time.to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// Reads [`time_text`]'s form, any other RFC 3339 time, or a bare date (`2026-12-31` = its end, 23:59:59 UTC).
pub fn parse_time(text: &str) -> Option<Timestamp> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(time.with_timezone(&Utc));
    }
    let date = chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
    Some(date.and_hms_opt(23, 59, 59)?.and_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_means_its_end_and_text_round_trips() {
        let end = parse_time("2026-12-31").unwrap();
        assert_eq!(time_text(end), "2026-12-31T23:59:59.000000Z");
        assert_eq!(parse_time(&time_text(end)), Some(end));
        assert_eq!(parse_time("2026-12-31T10:00:00+02:00").map(time_text).as_deref(), Some("2026-12-31T08:00:00.000000Z"));
        assert_eq!(parse_time("tomorrow"), None);
    }

    #[test]
    fn seeded_randomness_repeats_and_differs_by_seed() {
        let bytes = |seed| {
            let mut b = [0; 20];
            SeededRandom::new(seed).fill(&mut b);
            b
        };
        assert_eq!(bytes(1), bytes(1));
        assert_ne!(bytes(1), bytes(2));
    }
}
