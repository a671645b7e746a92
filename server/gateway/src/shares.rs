//! What a node has of something, and how much of it one organization may take: memory for bodies, streams, sessions.
//!
//! Nothing here waits. What is over is refused at once, because a queue of requests costs what it was to save.
use std::{collections::HashMap, sync::Arc};

use kernel::OrgId;
use parking_lot::Mutex;
use prometheus::{IntCounter, IntGauge};

use crate::metrics::Metrics;

/// Whose share is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UsedUp {
    Node,
    Organization,
}

pub(crate) struct Shares {
    node: usize,
    organization: usize,
    used: Mutex<Used>,
    /// The same figure as `used.node`, for the metrics.
    gauge: IntGauge,
    refused_by_node: IntCounter,
    refused_by_organization: IntCounter,
}
#[derive(Default)]
struct Used {
    node: usize,
    /// Those that have something: who has given all back is not in it.
    organizations: HashMap<OrgId, usize>,
}

impl Shares {
    /// `what` is the label of the refusals in the metrics. Several may share a gauge.
    pub(crate) fn new(what: &'static str, node: usize, organization: usize, gauge: &IntGauge, metrics: &Metrics) -> Arc<Self> {
        Arc::new(Self {
            node,
            organization,
            used: Mutex::default(),
            gauge: gauge.clone(),
            refused_by_node: metrics.refused_by_share(what, "node"),
            refused_by_organization: metrics.refused_by_share(what, "organization"),
        })
    }

    /// Given back when what is returned is dropped.
    pub(crate) fn take(self: &Arc<Self>, org: OrgId, amount: usize) -> Result<Taken, UsedUp> {
        self.add(org, amount)?;
        Ok(Taken { shares: Arc::clone(self), org, amount })
    }

    fn add(&self, org: OrgId, amount: usize) -> Result<(), UsedUp> {
        let mut used = self.used.lock();
        let of_node = used.node.saturating_add(amount);
        let of_org = used.organizations.get(&org).copied().unwrap_or_default().saturating_add(amount);
        // The organization's own first: what it can mend itself is the more useful answer.
        if of_org > self.organization {
            self.refused_by_organization.inc();
            return Err(UsedUp::Organization);
        }
        if of_node > self.node {
            self.refused_by_node.inc();
            return Err(UsedUp::Node);
        }
        used.node = of_node;
        used.organizations.insert(org, of_org);
        self.gauge.add(count(amount));
        Ok(())
    }

    fn give_back(&self, org: OrgId, amount: usize) {
        let mut used = self.used.lock();
        used.node = used.node.saturating_sub(amount);
        if let Some(of_org) = used.organizations.get_mut(&org) {
            *of_org = of_org.saturating_sub(amount);
            if *of_org == 0 {
                used.organizations.remove(&org);
            }
        }
        self.gauge.sub(count(amount));
    }
}

fn count(amount: usize) -> i64 {
    i64::try_from(amount).unwrap_or(i64::MAX)
}

/// A part of the shares, until it is dropped.
pub(crate) struct Taken {
    shares: Arc<Shares>,
    org: OrgId,
    amount: usize,
}
impl Taken {
    pub(crate) fn amount(&self) -> usize {
        self.amount
    }
    pub(crate) fn org(&self) -> OrgId {
        self.org
    }
    pub(crate) fn grow_to(&mut self, amount: usize) -> Result<(), UsedUp> {
        if let Some(more) = amount.checked_sub(self.amount).filter(|more| *more > 0) {
            self.shares.add(self.org, more)?;
            self.amount = amount;
        }
        Ok(())
    }
}
impl Drop for Taken {
    fn drop(&mut self) {
        self.shares.give_back(self.org, self.amount);
    }
}

#[cfg(test)]
mod tests {
    use kernel::Sources;

    use super::*;

    #[test]
    fn a_share_is_taken_by_its_organization_alone_and_given_back() {
        let (sources, metrics) = (Sources::system(), Metrics::new(Vec::new()).unwrap());
        let shares = Shares::new("bodies", 10, 4, &metrics.body_bytes, &metrics);
        let [a, b, c] = [(); 3].map(|()| OrgId::new(&sources));
        let mut of_a = shares.take(a, 3).ok().unwrap();
        assert_eq!(of_a.grow_to(5), Err(UsedUp::Organization));
        assert_eq!((of_a.grow_to(4), of_a.grow_to(2)), (Ok(()), Ok(())));
        assert_eq!(shares.take(a, 1).err(), Some(UsedUp::Organization));
        let of_b = shares.take(b, 4).ok().unwrap();
        assert_eq!(shares.take(c, 3).err(), Some(UsedUp::Node));
        assert_eq!(shares.take(c, usize::MAX).err(), Some(UsedUp::Organization));
        assert_eq!(metrics.body_bytes.get(), 8);
        drop(of_a);
        assert!(shares.take(c, 3).is_ok() && shares.take(a, 4).is_ok());
        drop(of_b);
        assert_eq!(metrics.body_bytes.get(), 0);
        assert!(shares.used.lock().organizations.is_empty(), "who has nothing leaves nothing behind");
    }
}
