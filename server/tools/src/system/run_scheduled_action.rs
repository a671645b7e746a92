use std::time::Duration;

use backends::odoo::{Job, Ran};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::list_scheduled_actions::{Listed, called};
use crate::{
    args::RecordId,
    contract::{self as tool, *},
};

/// Run a scheduled action now and wait for its end, disabled ones too. The same action not twice within 60 seconds.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RunScheduledAction {
    /// From list_scheduled_actions
    action_id: RecordId,
}
#[derive(Debug, Serialize, JsonSchema)]
pub struct Run {
    /// As it is after the run.
    pub action: Listed,
    pub ran: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}
impl Answer for Run {
    fn affected(&self) -> Option<u64> {
        Some(1)
    }
}
/// Seconds between two runs of one action, on whichever node of ocore.
const COOLDOWN: i64 = 60;
/// Odoo ends a request that takes longer (its limit_time_real, unless it was raised).
const ODOO_S_LIMIT: Duration = Duration::from_mins(2);
/// Between two looks for the end of a job whose request was lost.
const LOOK: Duration = Duration::from_secs(3);

impl RunScheduledAction {
    fn what(&self) -> String {
        format!("ir.cron {}", self.action_id.0)
    }
}
fn failed(job: &Job, why: &str, kept: bool) -> Fault {
    let why = if why.is_empty() { "Odoo gave no reason." } else { why };
    let next = if kept {
        "What it did before it failed may stay. odoo_logs has the whole trace; mend the cause and run it again."
    } else {
        "Nothing of this run was kept. odoo_logs has the whole trace; mend the cause and run it again."
    };
    refusal(Code::OdooError, format!("The scheduled action {} was run and failed: {why}", called(job))).next(next).into()
}
/// What a run that gave no error of its own came to, by what Odoo counted.
fn ended(before: &Job, now: Job) -> Result<Run> {
    if now.failure_count.unwrap_or_default() > before.failure_count.unwrap_or_default() {
        let why = "Odoo counted a failure. A job of an archived user is not run at all, for one.";
        return Err(failed(&now, why, true));
    }
    let mut notes = Vec::new();
    if now.lastcall == before.lastcall {
        notes.push(
            "Odoo told of no error, but lastcall is as it was: whether it worked shows in what it should have done.".to_owned(),
        );
    }
    if !now.active {
        notes.push("The action is disabled: it ran this once, and does not run by itself.".to_owned());
    }
    Ok(Run { action: Listed::from(now), ran: true, notes })
}
fn unknown(job: &Job, message: &str) -> Fault {
    let last = job.lastcall.as_deref().unwrap_or("never");
    Fault::unknown(
        message.to_owned(),
        format!(
            "Do not run it again yet. Before this, the last run of {} was {last}: once list_scheduled_actions shows a later one, it has ended.",
            called(job)
        ),
    )
}
impl WriteTool for RunScheduledAction {
    type Answer = Run;
    fn confirm(&self) -> bool {
        true
    }
    async fn plan(&self, cx: &ReadCx) -> Result<Plan> {
        let job = cx.odoo()?.job(self.action_id.0).await?;
        let model = job.model.as_deref().unwrap_or("no model");
        let user =
            job.user_name.clone().or_else(|| job.user.map(|id| format!("user {id}"))).unwrap_or_else(|| "its user".to_owned());
        let mut warnings =
            vec!["What a scheduled action changes cannot be foretold: it may send mail or post entries.".to_owned()];
        if !job.active {
            warnings.push("It is disabled; it would be run this once all the same.".to_owned());
        }
        if let Some(seconds) = cx.cooldowns()?.remaining(&self.what()).await? {
            warnings.push(format!("It was triggered a moment ago: a run is refused for {seconds} s yet."));
        }
        Ok(Plan {
            summary: format!("Would run the scheduled action {} on {model} as {user}, now", called(&job)),
            affected: 1,
            examples: vec![called(&job)],
            warnings,
            ids: vec![job.id],
        })
    }
    async fn call(self, cx: &WriteCx) -> Result<Run> {
        let odoo = cx.odoo()?;
        let job = odoo.job(self.action_id.0).await?;
        let cooldowns = cx.cooldowns()?;
        if let Some(seconds) = cooldowns.claim(&self.what(), kernel::TimeDelta::seconds(COOLDOWN)).await? {
            return Err(refusal(Code::RateLimited, format!("The scheduled action {} was triggered a moment ago.", called(&job)))
                .next(format!("Wait {seconds} s before the next trigger; lastcall in list_scheduled_actions tells whether that run has ended."))
                .into());
        }
        cx.checkpoint(&json!({"lastcall": job.lastcall, "failure_count": job.failure_count})).await?;
        match odoo.run_job(&job).await {
            Ok(Ran::Failed { why, kept }) => Err(failed(&job, &why, kept)),
            Ok(Ran::Done) => match odoo.job(job.id).await {
                Ok(now) => ended(&job, now),
                Err(fault) => {
                    let note = format!("It was run, but could not be read back: {}", fault.public().message);
                    Ok(Run { action: Listed::from(job), ran: true, notes: vec![note] })
                }
            },
            Err(Fault::Unknown { message, .. }) => Err(unknown(&job, &message)),
            Err(fault) => {
                // It was not run: whoever mends the cause need not wait.
                cooldowns.release(&self.what()).await.ok();
                Err(fault)
            }
        }
    }
    /// The request is lost, but Odoo goes on with the job: its end shows in lastcall, for as long as Odoo lets a request run.
    async fn resume(self, cx: &WriteCx, journal: Value) -> Result<Run> {
        let odoo = cx.odoo()?;
        let left = |job: Job| Job {
            lastcall: journal.get("lastcall").and_then(Value::as_str).map(str::to_owned),
            failure_count: journal.get("failure_count").and_then(Value::as_i64),
            ..job
        };
        let until = tokio::time::Instant::now() + ODOO_S_LIMIT;
        loop {
            let now = odoo.job(self.action_id.0).await?;
            let before = left(now.clone());
            if now.lastcall != before.lastcall {
                let mut run = ended(&before, now)?;
                run.notes.push("ocore was stopped meanwhile; that it ran is told by lastcall.".to_owned());
                return Ok(run);
            }
            if cx.cancel.is_cancelled() || tokio::time::Instant::now() >= until {
                return Err(unknown(&before, "ocore was stopped while the action ran, and Odoo shows no end of it."));
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}
pub const TOOL: Tool = tool::write::<RunScheduledAction>("Run a scheduled action").lifting(&["ir.cron"]).operation(1800);

#[cfg(test)]
mod tests {
    use super::*;

    fn job(lastcall: &str, failures: i64, active: bool) -> Job {
        Job {
            id: 7,
            name: "Digest".to_owned(),
            active,
            lastcall: Some(lastcall.to_owned()),
            failure_count: Some(failures),
            ..Job::default()
        }
    }

    #[test]
    fn a_run_is_told_by_what_odoo_counted() {
        let before = job("2026-11-21 12:00:00", 0, true);
        assert!(ended(&before, job("2026-11-21 12:05:00", 0, true)).unwrap().notes.is_empty());
        assert_eq!(ended(&before, job("2026-11-21 12:05:00", 1, true)).unwrap_err().code(), Code::OdooError);
        assert!(ended(&before, job("2026-11-21 12:00:00", 0, true)).unwrap().notes[0].contains("lastcall"));
        assert!(ended(&before, job("2026-11-21 12:05:00", 0, false)).unwrap().notes[0].contains("disabled"));
        let lost = unknown(&before, "The connection broke.").public();
        assert!(lost.next.contains("2026-11-21 12:00:00"), "{lost:?}");
    }
}
