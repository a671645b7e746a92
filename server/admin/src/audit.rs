//! The call audit and the main audit log, as people read them.
use kernel::{Code, Result, Role, Timestamp, refusal};
use store::calls::{self, CallFilter};

pub use store::{audit_log::LogRow, calls::Call};

use crate::{Admin, By, HOST, orgs, teach};

/// The states of a row.
pub const STATES: [&str; 6] = ["begun", "ok", "planned", "refused", "failed", "unknown"];
/// The longest page.
pub const MAX_PAGE: u32 = 1_000;

/// Which calls; what is none does not limit.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// A slug. None means the whole installation, for operators alone.
    pub org: Option<String>,
    pub instance: Option<String>,
    pub tool: Option<String>,
    /// One of [`STATES`].
    pub outcome: Option<String>,
    pub since: Option<Timestamp>,
    pub until: Option<Timestamp>,
    pub writes: bool,
    /// The id of the last row of the page before.
    pub before: Option<String>,
    /// At most [`MAX_PAGE`]; 0 means 50.
    pub limit: u32,
}

/// Newest first. Administrators of the organization and operators.
pub async fn list(admin: &Admin, by: &By, filter: &Filter) -> Result<Vec<Call>> {
    if let Some(outcome) = filter.outcome.as_deref().filter(|o| !STATES.contains(o)) {
        return Err(teach::not_found("outcome", outcome, STATES).into());
    }
    let org = scope(admin, by, filter.org.as_deref()).await?;
    let filter = CallFilter {
        org,
        instance: filter.instance.clone(),
        tool: filter.tool.clone(),
        state: filter.outcome.clone(),
        since: filter.since,
        until: filter.until,
        writes: filter.writes,
        before: filter.before.clone(),
        limit: page(filter.limit)?,
        ..CallFilter::default()
    };
    Ok(calls::list(&admin.db, &filter).await?)
}

/// The main audit log, newest first. Administrators of the organization and operators; what it holds of hosts is for operators alone.
pub async fn log(admin: &Admin, by: &By, org: Option<&str>, before: Option<&str>, limit: u32) -> Result<Vec<LogRow>> {
    let org = scope(admin, by, org).await?;
    let mut rows = store::audit_log::list(&admin.db, org, before, page(limit)?).await?;
    if !by.is_operator() {
        for detail in rows.iter_mut().filter_map(|row| row.detail.as_object_mut()) {
            detail.retain(|member, _| member != HOST);
        }
    }
    Ok(rows)
}

async fn scope(admin: &Admin, by: &By, org: Option<&str>) -> Result<Option<kernel::OrgId>> {
    let Some(slug) = org else {
        by.operator("read the audit of all organizations")?;
        return Ok(None);
    };
    let mut tx = admin.db.begin_read().await?;
    Ok(Some(orgs::resolve(&mut tx, by, slug, Role::Admin).await?.organization.id))
}

fn page(limit: u32) -> Result<u32> {
    match limit {
        0 => Ok(50),
        n if n <= MAX_PAGE => Ok(n),
        n => Err(refusal(Code::InvalidArgument, format!("A page has at most {MAX_PAGE} rows, not {n}."))
            .next("Go on from the last row's id.")
            .into()),
    }
}
