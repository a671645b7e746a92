//! Stage 2's rate: calls per minute and key, and per minute, key and tool where a tool has a limit of its own.
use std::{collections::HashMap, num::NonZeroU32, sync::Arc};

use governor::{
    DefaultKeyedRateLimiter, Quota, RateLimiter,
    clock::{Clock as _, DefaultClock},
};
use kernel::{Code, KeyId, Refusal, refusal};
use parking_lot::RwLock;

/// What a key may do per minute when nobody said otherwise.
pub const DEFAULT_PER_MINUTE: u32 = 100;
/// The same through `ocore stdio`.
pub const STDIO_PER_MINUTE: u32 = 30;

/// A key, and the tool when it is the tool's own limit.
type Counted = (KeyId, &'static str);

/// One limiter per rate: a limiter has one quota for all its keys.
#[derive(Debug, Default)]
pub struct Rates {
    by_rate: RwLock<HashMap<u32, Arc<DefaultKeyedRateLimiter<Counted>>>>,
    clock: DefaultClock,
}
impl Rates {
    /// Charges one call.
    ///
    /// # Errors
    /// `rate_limited`, with the seconds to wait.
    pub fn charge(&self, key: KeyId, per_minute: u32, tool: &'static str) -> Result<(), Refusal> {
        let Some(rate) = NonZeroU32::new(per_minute) else {
            return Err(refusal(Code::RateLimited, "This key's rate is 0: it may make no calls.").next("Ask an administrator."));
        };
        self.limiter(rate).check_key(&(key, tool)).map_err(|until| {
            let wait = until.wait_time_from(self.clock.now()).as_secs().saturating_add(1);
            let what = if tool.is_empty() { "This key".to_owned() } else { format!("{tool} with this key") };
            refusal(Code::RateLimited, format!("{what} is limited to {per_minute} calls per minute."))
                .next(format!("Wait {wait} s, then go on more slowly; batch tools do many records in one call."))
        })
    }
    fn limiter(&self, rate: NonZeroU32) -> Arc<DefaultKeyedRateLimiter<Counted>> {
        if let Some(found) = self.by_rate.read().get(&rate.get()) {
            return Arc::clone(found);
        }
        let mut all = self.by_rate.write();
        Arc::clone(all.entry(rate.get()).or_insert_with(|| Arc::new(RateLimiter::keyed(Quota::per_minute(rate)))))
    }
    /// Forgets keys that have been quiet (called hourly).
    pub fn clean(&self) {
        for limiter in self.by_rate.read().values() {
            limiter.retain_recent();
        }
    }
}

#[cfg(test)]
mod tests {
    use kernel::Sources;

    use super::*;

    #[test]
    fn keys_are_counted_apart_and_told_how_long_to_wait() {
        let (rates, sources) = (Rates::default(), Sources::system());
        let (a, b) = (KeyId::new(&sources), KeyId::new(&sources));
        for _ in 0..3 {
            rates.charge(a, 3, "").unwrap();
        }
        let refused = rates.charge(a, 3, "").unwrap_err();
        assert_eq!(refused.code, Code::RateLimited);
        assert!(refused.next.contains("Wait"), "{}", refused.next);
        rates.charge(b, 3, "").unwrap();
        rates.charge(a, 3, "aggregation").unwrap();
        assert!(rates.charge(a, 0, "").is_err());
    }
}
