//! Grouping.

use super::{Aggregate, Group, Reader, Result};

impl Reader {
    pub async fn aggregate(&self, aggregate: &Aggregate) -> Result<Vec<Group>> {
        let _ = aggregate;
        Err(kernel::Fault::failed("aggregate"))
    }
}
