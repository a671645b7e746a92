use backends::odoo::Job;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    args::{SearchWords, Shown},
    caps,
    contract::{self as tool, *},
};

/// List Odoo's scheduled actions (ir.cron), disabled ones too: interval, next and last run, priority, model, user, failures.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListScheduledActions {
    /// Part of a name or model
    #[serde(default)]
    search: SearchWords,
    /// Default all
    active: Option<Shown>,
    /// Default 200
    limit: Option<u64>,
}
#[derive(Debug, Serialize, JsonSchema)]
pub struct Actions {
    pub actions: Vec<Listed>,
    pub count: usize,
    pub has_more: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}
/// One scheduled action; times are UTC.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Listed {
    pub id: i64,
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// What it runs: code, or another kind of server action. The code itself is not shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    pub active: bool,
    pub interval_number: i64,
    pub interval_type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nextcall: Option<String>,
    /// Absent: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lastcall: Option<String>,
    /// 0 is the most urgent.
    pub priority: i64,
    /// Whom it runs as.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Up to Odoo 17: runs that are left, negative without end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub numbercall: Option<i64>,
    /// Up to Odoo 17: whether missed runs are made up for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub doall: Option<bool>,
    /// From Odoo 18 on: failures in a row.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure_count: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_failure_date: Option<String>,
}
impl From<Job> for Listed {
    fn from(job: Job) -> Self {
        Self {
            id: job.id,
            name: job.name,
            model: job.model,
            state: job.kind,
            active: job.active,
            interval_number: job.interval_number,
            interval_type: job.interval_type,
            nextcall: job.nextcall,
            lastcall: job.lastcall,
            priority: job.priority,
            user_id: job.user,
            user: job.user_name,
            numbercall: job.numbercall,
            doall: job.doall,
            failure_count: job.failure_count,
            first_failure_date: job.first_failure_date,
        }
    }
}
/// `Send the digest (id 7)`
pub fn called(job: &Job) -> String {
    format!("{} (id {})", job.name, job.id)
}
impl Answer for Actions {
    const LIST: Option<&'static str> = Some("actions");
    fn affected(&self) -> Option<u64> {
        Some(self.actions.len() as u64)
    }
}
impl ReadTool for ListScheduledActions {
    type Answer = Actions;
    async fn call(self, cx: &ReadCx) -> Result<Actions> {
        let odoo = cx.odoo()?;
        let (limit, note) = caps::limit(odoo.scope(), self.limit, 200)?;
        // One more than asked for tells whether there are more.
        let mut found = odoo.jobs(self.search.get(), self.active.and_then(Shown::flag), limit + 1).await?;
        let has_more = found.len() as u64 > limit;
        found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        let more = has_more.then(|| "There are more: narrow it with search, or raise limit.".to_owned());
        let actions: Vec<Listed> = found.into_iter().map(Listed::from).collect();
        Ok(Actions { count: actions.len(), actions, has_more, notes: note.into_iter().chain(more).collect() })
    }
}
pub const TOOL: Tool = tool::read::<ListScheduledActions>("Scheduled actions");
