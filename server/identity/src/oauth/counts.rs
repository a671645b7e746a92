//! How often somebody tried what is limited, in this process. What many subjects fill is bounded: the oldest are forgotten first.
use std::{
    collections::HashMap,
    fmt::Display,
    hash::Hash,
    net::{IpAddr, Ipv6Addr},
};

use kernel::Timestamp;
use parking_lot::Mutex;

use crate::oauth::throttle::{Failures, Limit, Of};

/// The most subjects of each kind that are counted at a time.
const MOST: usize = 100_000;

/// An address as limits count it: of IPv6 the network of one customer, for whoever has one address there has 2^64.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => IpAddr::V4(v4),
            None => IpAddr::V6(Ipv6Addr::from(u128::from(v6) >> 64 << 64)),
        },
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// What is remembered of the newest subjects: of `most` at most.
#[derive(Debug)]
pub(crate) struct Newest<K, V> {
    most: usize,
    next: u64,
    /// With the number of when it was last put.
    of: HashMap<K, (u64, V)>,
}
impl<K: Eq + Hash, V> Newest<K, V> {
    pub(crate) fn new(most: usize) -> Self {
        Self { most, next: 0, of: HashMap::new() }
    }
    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        self.of.get(key).map(|(_, value)| value)
    }
    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.of.get_mut(key).map(|(_, value)| value)
    }
    /// Where there is no room, the tenth that was put longest ago goes.
    pub(crate) fn put(&mut self, key: K, value: V) {
        if self.of.len() >= self.most && !self.of.contains_key(&key) {
            let mut numbers: Vec<_> = self.of.values().map(|(number, _)| *number).collect();
            let (_, last, _) = numbers.select_nth_unstable((self.most / 10).min(self.most.saturating_sub(1)));
            let last = *last;
            self.of.retain(|_, (number, _)| *number > last);
        }
        self.of.insert(key, (self.next, value));
        self.next += 1;
    }
    pub(crate) fn remove(&mut self, key: &K) {
        self.of.remove(key);
    }
}

/// Counts by what is limited and of whom. Those whom anybody can be by the thousand have a table of their own, so that they push out
/// nobody who signed in.
#[derive(Debug)]
pub struct Counts {
    anybody: Mutex<Table>,
    known: Mutex<Table>,
}
type Table = Newest<(&'static str, String), Failures>;
impl Default for Counts {
    fn default() -> Self {
        Self::of_at_most(MOST)
    }
}
impl Counts {
    fn of_at_most(most: usize) -> Self {
        Self { anybody: Mutex::new(Newest::new(most)), known: Mutex::new(Newest::new(most)) }
    }

    /// Counts one try, or gives the seconds to wait for the next, at least 1.
    ///
    /// # Errors
    /// When there were too many.
    pub fn take(&self, limit: Limit, what: &'static str, of: impl Display, now: Timestamp) -> Result<(), i64> {
        let table = match limit.of {
            Of::Anybody => &self.anybody,
            Of::Known => &self.known,
        };
        let (key, mut table) = ((what, of.to_string()), table.lock());
        let failures = table.get(&key).copied().unwrap_or_default();
        if let Some(wait) = failures.wait(limit, now) {
            return Err(wait.num_seconds().max(1));
        }
        let more = failures.failed(limit, now);
        match table.get_mut(&key) {
            // As old as its window: it is as near to being forgotten.
            Some(kept) if more.since == failures.since => *kept = more,
            _ => table.put(key, more),
        }
        Ok(())
    }
    /// The last try was no guess.
    pub fn give_back(&self, what: &'static str, of: impl Display) {
        let key = (what, of.to_string());
        for table in [&self.anybody, &self.known] {
            if let Some(failures) = table.lock().get_mut(&key) {
                *failures = failures.taken_back();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use kernel::{TimeDelta, parse_time};

    use super::*;
    use crate::oauth::throttle::{REGISTRATION, USER_CODE};

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

    #[test]
    fn a_flood_of_strangers_frees_nobody_who_came_lately() {
        let counts = Counts::of_at_most(100);
        let now = parse_time("2026-01-01").unwrap();
        let full = |limit: Limit, of: &str| {
            for _ in 0..limit.failures {
                counts.take(limit, "a", of, now).unwrap();
            }
        };
        full(USER_CODE, "ann");
        full(REGISTRATION, "early");
        for n in 0..95 {
            counts.take(REGISTRATION, "a", n, now).unwrap();
        }
        full(REGISTRATION, "late");
        for n in 100..110 {
            counts.take(REGISTRATION, "a", n, now).unwrap();
        }
        assert!(counts.take(REGISTRATION, "a", "late", now).is_err(), "one of the newest");
        assert!(counts.take(REGISTRATION, "a", "early", now).is_ok(), "the oldest go, for there must be an end");
        for n in 0..1_000 {
            counts.take(REGISTRATION, "a", n, now).unwrap();
        }
        assert!(counts.take(USER_CODE, "a", "ann", now).is_err(), "whoever signed in is not pushed out by who did not");
        assert!(counts.anybody.lock().of.len() <= 100);
    }

    #[test]
    fn an_ipv6_network_is_one_subject() {
        let of = |text: &str| network(text.parse().unwrap()).to_string();
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), of("2001:db8:1:2:ffff::1"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!((of("192.0.2.7"), of("::ffff:192.0.2.7")), ("192.0.2.7".to_owned(), "192.0.2.7".to_owned()));
    }
}
