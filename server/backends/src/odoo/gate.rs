//! What all clients of one instance share: the cap on calls at a time, and the breaker that spares a dead instance (and the
//! callers' time) after several failures in a row.
use std::{sync::Arc, time::Duration};

use kernel::{Code, Refusal, refusal};
use parking_lot::Mutex;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout_at},
};

#[derive(Debug)]
pub(super) struct Gate {
    slots: Mutex<(u32, Arc<Semaphore>)>,
    breaker: Mutex<Breaker>,
    threshold: u32,
    pause: Duration,
}

#[derive(Debug, Default)]
struct Breaker {
    /// Failures in a row.
    failures: u32,
    /// While set, calls are refused until then; afterwards one probe is let through at a time.
    open_until: Option<Instant>,
    probing: bool,
}

/// One call's place. Dropping it without [`Pass::worked`] or [`Pass::failed`] leaves the breaker as it is.
#[derive(Debug)]
pub(super) struct Pass {
    gate: Arc<Gate>,
    probe: bool,
    _slot: OwnedSemaphorePermit,
}

impl Gate {
    pub(super) fn new(concurrency: u32, threshold: u32, pause: Duration) -> Self {
        let concurrency = concurrency.max(1);
        Self {
            slots: Mutex::new((concurrency, Arc::new(Semaphore::new(concurrency as usize)))),
            breaker: Mutex::default(),
            threshold,
            pause,
        }
    }

    /// Waits for a place until the deadline (`busy` then). `unreachable` at once while the breaker is open.
    pub(super) async fn enter(self: &Arc<Self>, concurrency: u32, deadline: Instant) -> Result<Pass, Refusal> {
        self.refuse_while_open()?;
        let slots = self.slots(concurrency);
        let slot = match Arc::clone(&slots).try_acquire_owned() {
            Ok(slot) => slot,
            Err(_) => match timeout_at(deadline, slots.acquire_owned()).await {
                Ok(Ok(slot)) => slot,
                _ => {
                    return Err(refusal(
                        Code::Busy,
                        format!(
                            "The instance already works on {} calls, and none ended before the deadline.",
                            concurrency.max(1)
                        ),
                    )
                    .next("Try again in a moment, ask for less per call, or raise timeout_seconds."));
                }
            },
        };
        // Those that queued while the instance died need not find out one by one.
        let probe = self.admit()?;
        Ok(Pass { gate: Arc::clone(self), probe, _slot: slot })
    }

    /// A changed cap holds at once for new calls; calls under way end on the old one.
    fn slots(&self, concurrency: u32) -> Arc<Semaphore> {
        let concurrency = concurrency.max(1);
        let mut slots = self.slots.lock();
        if slots.0 != concurrency {
            *slots = (concurrency, Arc::new(Semaphore::new(concurrency as usize)));
        }
        Arc::clone(&slots.1)
    }

    fn refuse_while_open(&self) -> Result<(), Refusal> {
        let breaker = self.breaker.lock();
        match breaker.open_until {
            Some(until) if Instant::now() < until || breaker.probing => Err(self.resting(until)),
            _ => Ok(()),
        }
    }
    /// True for the one call that tries whether the instance is back.
    fn admit(&self) -> Result<bool, Refusal> {
        let mut breaker = self.breaker.lock();
        match breaker.open_until {
            None => Ok(false),
            Some(until) if Instant::now() < until || breaker.probing => Err(self.resting(until)),
            Some(_) => {
                breaker.probing = true;
                Ok(true)
            }
        }
    }
    fn resting(&self, until: Instant) -> Refusal {
        let seconds = until.saturating_duration_since(Instant::now()).as_secs() + 1;
        refusal(
            Code::Unreachable,
            format!(
                "The instance did not answer {} times in a row; ocore leaves it alone for {seconds} more seconds.",
                self.threshold
            ),
        )
        .next("Check that Odoo runs; ocore tries again by itself at the next call after that.")
    }
}

impl Pass {
    /// The instance answered (be it with an error of its own).
    pub(super) fn worked(&self) {
        let mut breaker = self.gate.breaker.lock();
        if breaker.failures > 0 || breaker.open_until.is_some() {
            *breaker = Breaker::default();
        }
    }
    /// No connection, or no answer in reasonable time.
    pub(super) fn failed(&self) {
        let mut breaker = self.gate.breaker.lock();
        breaker.failures = breaker.failures.saturating_add(1);
        if self.probe || breaker.failures >= self.gate.threshold {
            breaker.open_until = Some(Instant::now() + self.gate.pause);
            breaker.probing = false;
        }
    }
}
impl Drop for Pass {
    fn drop(&mut self) {
        // A probe that was cancelled must not keep the next one out.
        if self.probe {
            self.gate.breaker.lock().probing = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(concurrency: u32) -> Arc<Gate> {
        Arc::new(Gate::new(concurrency, 3, Duration::from_secs(10)))
    }
    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(1)
    }

    #[tokio::test(start_paused = true)]
    async fn the_cap_queues_until_the_deadline() {
        let gate = gate(2);
        let first = gate.enter(2, soon()).await.unwrap();
        let _second = gate.enter(2, soon()).await.unwrap();
        assert_eq!(gate.enter(2, soon()).await.unwrap_err().code, Code::Busy);
        drop(first);
        let _third = gate.enter(2, soon()).await.unwrap();
        assert!(gate.enter(3, soon()).await.is_ok(), "a raised cap holds at once");
    }

    #[tokio::test(start_paused = true)]
    async fn the_breaker_opens_lets_one_probe_through_and_closes() {
        let gate = gate(4);
        for _ in 0..3 {
            gate.enter(4, soon()).await.unwrap().failed();
        }
        assert_eq!(gate.enter(4, soon()).await.unwrap_err().code, Code::Unreachable);
        tokio::time::advance(Duration::from_secs(11)).await;
        let probe = gate.enter(4, soon()).await.unwrap();
        assert!(gate.enter(4, soon()).await.is_err(), "one probe at a time");
        probe.failed();
        drop(probe);
        assert!(gate.enter(4, soon()).await.is_err(), "a failed probe opens it again");
        tokio::time::advance(Duration::from_secs(11)).await;
        drop(gate.enter(4, soon()).await.unwrap());
        let probe = gate.enter(4, soon()).await.expect("a cancelled probe lets the next one try");
        probe.worked();
        assert!(gate.enter(4, soon()).await.is_ok());
        assert!(gate.enter(4, soon()).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_success_in_between_keeps_it_closed() {
        let gate = gate(4);
        for _ in 0..10 {
            gate.enter(4, soon()).await.unwrap().failed();
            gate.enter(4, soon()).await.unwrap().failed();
            gate.enter(4, soon()).await.unwrap().worked();
        }
    }
}
