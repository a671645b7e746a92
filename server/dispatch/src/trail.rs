//! The audit of a call: what is known of it grows from stage to stage, and whatever the end, a row is written.
use std::{borrow::Cow, net::IpAddr, sync::Arc, time::Duration};

use kernel::{
    Actor, CallId, Category, Code, Facade, Fault, GrantId, Instance, KeyId, OrgId, Refusal, Result, Sources, Timestamp, UserId,
    WritePermit, redact,
};
use serde_json::{Map, Value};
use store::audit::{Audit, Began, CallEnd, CallRow, Outcome};
use tools::contract::Tool;

/// The most characters of a summary.
const SUMMARY: usize = 500;

/// A known key that was refused before there was an actor.
#[derive(Debug, Clone)]
pub struct Door {
    pub org: OrgId,
    pub key: KeyId,
    pub key_label: Arc<str>,
    pub user: Option<UserId>,
    /// The consent of an OAuth client that used the key.
    pub grant: Option<GrantId>,
    pub address: IpAddr,
    pub facade: Facade,
    /// What was asked for, as far as it is known.
    pub tool: String,
    pub refusal: Refusal,
}
impl Door {
    /// `before`: refusals of the same kind that were counted and had no row of their own.
    pub(crate) fn row(&self, sources: &Sources, before: u64) -> (CallRow, CallEnd) {
        let row = CallRow {
            id: CallId::new(sources),
            org: self.org,
            key: Some(self.key),
            key_label: Arc::clone(&self.key_label),
            grant: self.grant,
            user: self.user,
            session: None,
            address: self.address,
            facade: self.facade.as_str(),
            instance: None,
            instance_slug: None,
            tool: Cow::Owned(short(&self.tool, 80)),
            category: None,
            access: "read",
            arguments: "{}".to_owned(),
            started_at: sources.now(),
        };
        let more = if before > 0 { format!(" ({before} more in the minute of the last row)") } else { String::new() };
        let summary = format!("{}{more}", self.refusal.message);
        (row, end(Outcome::Refused, Some(self.refusal.code), &summary, Duration::ZERO, None))
    }
}

/// One call on its way.
pub(crate) struct Trail {
    pub row: CallRow,
    /// The committed row of a write; completed at the end.
    pub began: Option<Began>,
    /// Whether only a rate stopped it: those rows are folded.
    pub rate_refused: bool,
    /// Whether an operation completes the row, and not this call.
    pub handed_over: bool,
    pub category: Option<Category>,
    started: tokio::time::Instant,
}
impl Trail {
    pub fn new(actor: &Actor, name: &str, arguments: &Value, sources: &Sources) -> Self {
        let row = CallRow {
            id: CallId::new(sources),
            org: actor.org(),
            key: Some(actor.key()),
            key_label: Arc::clone(actor.key_label()),
            grant: actor.grant(),
            user: actor.user(),
            session: Some(actor.session()),
            address: actor.address(),
            facade: actor.facade().as_str(),
            instance: None,
            instance_slug: None,
            tool: Cow::Owned(short(&redact::text(name), 80)),
            category: None,
            access: "read",
            arguments: kept(arguments),
            started_at: sources.now(),
        };
        Self { row, began: None, rate_refused: false, handed_over: false, category: None, started: tokio::time::Instant::now() }
    }
    pub fn resolved(&mut self, tool: &'static Tool, instance: Option<&Arc<Instance>>) {
        self.row.tool = Cow::Borrowed(tool.facts.name);
        self.category = Some(tool.facts.category);
        self.row.category = Some(tool.facts.category.as_str());
        self.row.access = tool.facts.access.as_str();
        self.row.instance = instance.map(|i| i.id);
        self.row.instance_slug = instance.map(|i| Arc::clone(&i.slug));
    }
    pub fn started_at(&self) -> Timestamp {
        self.row.started_at
    }
    /// What a probe found: this call of a tool that is listed as a read writes.
    pub fn writes(&mut self) {
        if self.row.access == "read" {
            self.row.access = "write";
        }
    }
    /// What the arguments decided: this call reads.
    pub fn reads(&mut self) {
        self.row.access = "read";
    }
    /// Stage 7: the row is committed before anything happens.
    pub async fn begin(&mut self, audit: &Audit, permit: &WritePermit) -> Result<Began> {
        audit.begin(permit, self.row.clone()).await
    }
    /// The trail of the operation that goes on when the call has ended.
    pub fn hand_over(&mut self) -> Self {
        self.handed_over = true;
        Self {
            row: self.row.clone(),
            began: self.began.take(),
            rate_refused: false,
            handed_over: false,
            category: self.category,
            started: self.started,
        }
    }
    /// Stage 10. A write's end is committed when this returns; a read's or refusal's row is queued.
    pub async fn close(
        self,
        audit: &Audit,
        outcome: Outcome,
        code: Option<Code>,
        summary: &str,
        affected: Option<u64>,
    ) -> Result<()> {
        let end = end(outcome, code, summary, self.started.elapsed(), affected);
        match self.began {
            Some(began) => audit.complete(began, end).await,
            None if self.rate_refused => audit.record_rate_refusal(self.row),
            None => audit.record(self.row, end).await,
        }
    }
}

/// Of a fault: how it ended, and what a reader of the audit sees.
pub(crate) fn ended(fault: &Fault) -> Outcome {
    match fault {
        // Odoo's own error is an answer of Odoo, not a refusal of ours.
        Fault::Refused(r) if matches!(r.code, Code::OdooError | Code::Unreachable | Code::Timeout) => Outcome::Failed,
        Fault::Refused(_) => Outcome::Refused,
        Fault::Failed { .. } => Outcome::Failed,
        Fault::Unknown { .. } => Outcome::Unknown,
    }
}

fn end(outcome: Outcome, code: Option<Code>, summary: &str, latency: Duration, affected: Option<u64>) -> CallEnd {
    CallEnd { outcome, code, summary: short(&redact::text(&short(summary, SUMMARY * 2)), SUMMARY), latency, affected }
}

/// The arguments as the audit keeps them: redacted, as compact JSON.
fn kept(arguments: &Value) -> String {
    match arguments {
        Value::Null => "{}".to_owned(),
        Value::Object(map) if map.is_empty() => Value::Object(Map::new()).to_string(),
        value => redact::arguments(value).to_string(),
    }
}

fn short(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some((at, _)) => text.split_at(at).0.to_owned(),
    }
}
