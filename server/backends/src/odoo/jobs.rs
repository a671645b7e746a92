//! Scheduled actions: listed in the words of every version, switched on and off, and run by hand. What they run (their code) is
//! not shown.
use kernel::{Code, Fault, Refusal, refusal};
use serde_json::{Map, Value, json};

use super::{
    Reader, Result, Writer,
    dialect::{self, Arg, Context, Request},
    error::{Failure, Kind, scrub},
    users::{one, one_name, text},
};

const MODEL: &str = "ir.cron";
/// What Odoo says, in English, of a job that is being run.
const RUNNING: [&str; 2] = ["cannot be modified right now", "already executing"];

/// A scheduled action.
#[derive(Debug, Clone, Default)]
pub struct Job {
    pub id: i64,
    pub name: String,
    pub model: Option<String>,
    /// How it works: `code`, or another kind of server action.
    pub kind: Option<String>,
    pub active: bool,
    pub interval_number: i64,
    /// minutes, hours, days, weeks, months
    pub interval_type: String,
    /// UTC.
    pub nextcall: Option<String>,
    pub lastcall: Option<String>,
    /// 0 is the most urgent.
    pub priority: i64,
    /// Whom it runs as.
    pub user: Option<i64>,
    pub user_name: Option<String>,
    /// Up to 17: how often it will run, negative without end.
    pub numbercall: Option<i64>,
    /// Up to 17: whether missed runs are made up for.
    pub doall: Option<bool>,
    /// From 18 on: failures in a row.
    pub failure_count: Option<i64>,
    pub first_failure_date: Option<String>,
}

/// How a job that was run by hand ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ran {
    Done,
    /// In Odoo's words; `kept` when what it did before it failed stays.
    Failed {
        why: String,
        kept: bool,
    },
}

fn job(row: &Map<String, Value>, names: bool) -> Job {
    let get = |field: &str| row.get(field).unwrap_or(&Value::Null);
    let some = |field: &str| Some(text(get(field))).filter(|t| !t.is_empty());
    Job {
        id: get("id").as_i64().unwrap_or_default(),
        name: text(get("name")),
        model: some("model_name"),
        kind: some("state"),
        active: get("active").as_bool().unwrap_or_default(),
        interval_number: get("interval_number").as_i64().unwrap_or_default(),
        interval_type: text(get("interval_type")),
        nextcall: some("nextcall"),
        lastcall: some("lastcall"),
        priority: get("priority").as_i64().unwrap_or_default(),
        user: one(get("user_id")),
        user_name: one_name(get("user_id")).filter(|_| names),
        numbercall: get("numbercall").as_i64(),
        doall: get("doall").as_bool(),
        failure_count: get("failure_count").as_i64(),
        first_failure_date: some("first_failure_date"),
    }
}

/// The sentence of the exception that a job failed of. 19 wraps it into another without words; only the trace names it.
fn failure_of(action: &Value) -> Option<String> {
    if action.get("tag")? != "display_exception" {
        return None;
    }
    let data = action.pointer("/params/data").unwrap_or(&Value::Null);
    let said = data.get("message").map(text).filter(|m| !m.trim().is_empty());
    Some(said.or_else(|| data.get("debug").and_then(Value::as_str).and_then(exception_of)).unwrap_or_default())
}
/// What a Python trace ends with: behind the last frame, before what was raised because of it.
fn exception_of(trace: &str) -> Option<String> {
    let own = trace.split("\n\nThe above exception was").next()?;
    let lines: Vec<&str> = own.lines().collect();
    let frame = lines.iter().rposition(|line| line.starts_with("  File "))?;
    let text: Vec<&str> = lines.into_iter().skip(frame + 1).skip_while(|line| line.starts_with(' ')).collect();
    let text = text.join("\n");
    let (class, message) = text.split_once(": ").unwrap_or((&text, ""));
    Some(match class.strip_prefix("odoo.exceptions.") {
        Some(_) if !message.is_empty() => message.to_owned(),
        _ => text,
    })
}
fn running(name: &str) -> Refusal {
    refusal(
        Code::Busy,
        format!("The scheduled action {name:?} is being run at this moment; Odoo lets nobody change or run it meanwhile."),
    )
    .next("Try again when it has ended; lastcall in list_scheduled_actions tells when.")
}
fn says_running(failure: &Failure) -> bool {
    matches!(failure, Failure::Odoo(error) if error.kind == Kind::User && RUNNING.iter().any(|words| error.message.contains(words)))
}
/// The row of a running job is locked.
fn is_locked(failure: &Failure) -> bool {
    matches!(failure, Failure::Odoo(error) if error.kind == Kind::Concurrency)
}

impl Reader {
    /// Scheduled actions by name, disabled ones too unless `active` says otherwise; `search` looks in names and models.
    pub async fn jobs(&self, search: Option<&str>, active: Option<bool>, limit: u64) -> Result<Vec<Job>> {
        let mut domain = Vec::new();
        if let Some(active) = active {
            domain.push(json!(["active", "=", active]));
        }
        if let Some(search) = search {
            domain.extend([json!("|"), json!(["name", "ilike", search]), json!(["model_name", "ilike", search])]);
        }
        self.find_jobs(&Value::Array(domain), limit).await
    }
    pub async fn job(&self, id: i64) -> Result<Job> {
        self.find_jobs(&json!([["id", "=", id]]), 1).await?.into_iter().next().ok_or_else(|| {
            refusal(Code::NotFound, format!("There is no scheduled action {id}."))
                .next("list_scheduled_actions tells them and their ids.")
                .into()
        })
    }
    async fn find_jobs(&self, domain: &Value, limit: u64) -> Result<Vec<Job>> {
        self.scope().readable(MODEL)?;
        let common = [
            "name",
            "model_name",
            "state",
            "active",
            "interval_number",
            "interval_type",
            "nextcall",
            "lastcall",
            "priority",
            "user_id",
        ];
        let fields = [&common[..], &dialect::job_fields(self.version().await?)].concat();
        let rows: Vec<Map<String, Value>> = self.find_or_tell(MODEL, domain, &fields, "cron_name, id", limit).await?;
        let names = self.scope().shows_names_of("res.users");
        Ok(rows.iter().map(|row| job(row, names)).collect())
    }
}
impl Writer {
    fn may_change_jobs(&self) -> Result<()> {
        self.scope().writable(MODEL)?;
        if !self.scope().lifted(MODEL) {
            return Err(Fault::failed("a tool that does not lift ir.cron changes scheduled actions"));
        }
        Ok(())
    }
    /// Switches a scheduled action on or off; busy while it runs.
    pub async fn switch_job(&self, job: &Job, active: bool) -> Result<()> {
        self.may_change_jobs()?;
        let values = Map::from_iter([("active".to_owned(), Value::Bool(active))]);
        let (ids, args) = ([job.id], [Arg::Object(&values)]);
        // In English, for what Odoo says of a running job has no other mark.
        let context = Context { lang: Some("en_US".to_owned()), ..Context::default() };
        let request =
            Request { model: MODEL, method: "write", ids: Some(&ids), args: &args, kwargs: &[], context: &context, write: true };
        match self.send::<serde::de::IgnoredAny>(&request).await {
            Ok(_) => Ok(()),
            Err(failure) if says_running(&failure) || is_locked(&failure) => Err(running(&job.name).into()),
            Err(failure) => Err(self.tell(failure, MODEL, "write").await),
        }
    }
    /// Runs a scheduled action now and waits for its end. Runs disabled ones too, as Odoo's own button does.
    pub async fn run_job(&self, job: &Job) -> Result<Ran> {
        self.may_change_jobs()?;
        let version = self.version().await?;
        let ids = [job.id];
        // As the scheduler runs it, without companies, language or time zone of the caller; before 19 the job gets what is
        // sent here. English again, where Odoo may say that it runs already.
        let lang = dialect::refuses_running_jobs(version).then(|| "en_US".to_owned());
        let context = Context { lang, ..Context::default() };
        let request = Request {
            model: MODEL,
            method: "method_direct_trigger",
            ids: Some(&ids),
            args: &[],
            kwargs: &[],
            context: &context,
            write: true,
        };
        match self.send::<Value>(&request).await {
            Ok(answer) => Ok(match failure_of(&answer) {
                Some(why) => Ran::Failed { why: scrub(&why), kept: dialect::runs_jobs_like_the_scheduler(version) },
                None => Ran::Done,
            }),
            Err(failure) if dialect::refuses_running_jobs(version) && says_running(&failure) => Err(running(&job.name).into()),
            // Whoever may read scheduled actions may run them (both want Settings): a right or a record that is missing is
            // missing to the job.
            Err(Failure::Odoo(error))
                if matches!(
                    error.kind,
                    Kind::User | Kind::Value | Kind::Database | Kind::Signature | Kind::Access | Kind::Missing | Kind::Other
                ) =>
            {
                Ok(Ran::Failed { why: scrub(&error.message), kept: false })
            }
            Err(failure) => Err(self.tell(failure, MODEL, "method_direct_trigger").await),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn action(debug: &str) -> Value {
        json!({"type": "ir.actions.client", "tag": "display_exception",
            "params": {"code": 0, "message": "Odoo Server Error", "data": {"name": "builtins.RuntimeError", "message": "", "debug": debug}}})
    }

    #[test]
    fn a_failure_is_told_in_the_words_of_the_first_exception() {
        let cause = "\n\nThe above exception was the direct cause of the following exception:\n\nRuntimeError\n";
        let frames = "Traceback (most recent call last):\n  File \"/usr/lib/x.py\", line 5, in run\n    self.run()\n    ^^^^^^^^^\n  File \"ir.actions.server(5,)\", line 1, in <module>\n";
        for (last, told) in [
            ("odoo.exceptions.UserError: it broke\nreally: yes", "it broke\nreally: yes"),
            ("ZeroDivisionError: division by zero", "ZeroDivisionError: division by zero"),
            ("KeyError", "KeyError"),
        ] {
            assert_eq!(failure_of(&action(&format!("{frames}{last}{cause}"))).as_deref(), Some(told));
        }
        assert_eq!(failure_of(&action("")).as_deref(), Some(""), "a failure all the same");
        for fine in [json!(true), json!(null), json!({"type": "ir.actions.act_window"}), json!([1])] {
            assert_eq!(failure_of(&fine), None, "{fine}");
        }
    }

    #[test]
    fn fields_of_either_generation() {
        let row = json!({"id": 3, "name": "x", "model_name": false, "active": true, "numbercall": -1, "doall": false, "user_id": [1, "Bot"]});
        let told = job(row.as_object().unwrap(), true);
        assert_eq!((told.numbercall, told.doall, told.failure_count, told.model), (Some(-1), Some(false), None, None));
        assert_eq!((told.user, told.user_name.as_deref()), (Some(1), Some("Bot")));
        let row = json!({"id": 3, "failure_count": 2, "first_failure_date": "2026-01-01 00:00:00", "user_id": [1, "Bot"]});
        let told = job(row.as_object().unwrap(), false);
        assert_eq!((told.failure_count, told.numbercall, told.user_name), (Some(2), None, None));
    }
}
