//! Searches that are kept for later: checked when they are kept, and again, for whoever runs them, when they are run.
use super::{Reader, Result, Search};

impl Reader {
    /// Whether the caller could run this search: its scope, and the form of the domain, the order and the fields. `thorough` also
    /// looks up every name, and says which was perhaps meant.
    pub async fn check_search(&self, search: &Search, thorough: bool) -> Result<()> {
        let model = search.model.as_str();
        self.scope().readable(model)?;
        self.check_domain(model, &search.domain, thorough).await?;
        if let Some(order) = search.order.as_deref() {
            self.check_order(model, order, thorough).await?;
        }
        self.check_read_fields(model, &search.fields, thorough).await?;
        Ok(())
    }
}
