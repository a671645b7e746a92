//! `ocore audit …`
use admin::audit::{self, Call, Filter, LogRow};
use clap::{Args, Subcommand};
use kernel::{TimeDelta, Timestamp, parse_time, time_text};
use serde_json::{Value, json};

use super::Given;
use crate::{
    failure::{Failure, Result},
    terminal::{self, Shown, printable},
};

#[derive(Debug, Subcommand)]
pub enum Audit {
    /// Calls of tools, newest first
    List(List),
    /// Changes of the registry: keys, users, instances, the guard, newest first
    Log {
        /// Only of this organization
        #[arg(long, value_name = "SLUG")]
        org: Option<String>,
        /// How many rows, at most 1000
        #[arg(long, default_value_t = 50, value_name = "N")]
        limit: u32,
    },
}

#[derive(Debug, Args)]
pub struct List {
    /// Only of this organization
    #[arg(long, value_name = "SLUG")]
    org: Option<String>,
    /// Only on this instance
    #[arg(long, value_name = "SLUG")]
    instance: Option<String>,
    /// Only of this tool, without an instance before it: search_read
    #[arg(long, value_name = "NAME")]
    tool: Option<String>,
    /// begun, ok, planned, refused, failed or unknown
    #[arg(long)]
    outcome: Option<String>,
    /// Only since then: 2026-11-21, 2026-11-21T10:00:00Z, or a time ago like 30m, 24h, 7d
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only calls that may change something
    #[arg(long)]
    writes: bool,
    /// Goes on below the row with this id
    #[arg(long, value_name = "ID")]
    before: Option<String>,
    /// How many rows, at most 1000
    #[arg(long, default_value_t = 50, value_name = "N")]
    limit: u32,
}

impl Audit {
    pub async fn run(self, given: &Given) -> Result<Shown> {
        match self {
            Self::List(list) => list.run(given).await,
            Self::Log { org, limit } => {
                let (_, base) = given.open().await?;
                let rows = audit::log(&base.admin, &base.by, org.as_deref(), None, limit).await?;
                base.close().await;
                let cells = rows.iter().map(|r| {
                    vec![
                        time_text(r.at),
                        r.actor_name.clone(),
                        r.action.clone(),
                        printable(&r.target_name),
                        cut(&r.detail.to_string(), 80),
                    ]
                });
                let text = terminal::table(
                    &["TIME", "WHO", "DID", "TO", "DETAIL"],
                    &cells.collect::<Vec<_>>(),
                    "Nothing was changed yet.",
                );
                Ok(Shown::new(text, rows.iter().map(log_json).collect()))
            }
        }
    }
}

impl List {
    async fn run(self, given: &Given) -> Result<Shown> {
        let (_, base) = given.open().await?;
        let since = self.since.as_deref().map(|text| since(text, base.admin.sources.now())).transpose()?;
        let filter = Filter {
            org: self.org,
            instance: self.instance,
            tool: self.tool,
            outcome: self.outcome,
            since,
            until: None,
            writes: self.writes,
            before: self.before,
            limit: self.limit,
        };
        let calls = audit::list(&base.admin, &base.by, &filter).await?;
        base.close().await;
        let rows = calls.iter().map(|c| {
            let code = c.code.as_deref().map_or_else(String::new, |code| format!(" ({code})"));
            let times = if c.times > 1 { format!(" ×{}", c.times) } else { String::new() };
            vec![
                time_text(c.started_at),
                c.instance.clone().unwrap_or_else(|| "-".into()),
                printable(&c.tool),
                format!("{}{code}{times}", c.state),
                c.latency_us.map_or_else(|| "-".into(), milliseconds),
                printable(&c.key_label),
                c.address.clone(),
                cut(&c.arguments, 60),
            ]
        });
        let head = ["TIME", "INSTANCE", "TOOL", "OUTCOME", "MS", "KEY", "ADDRESS", "ARGUMENTS"];
        let text = terminal::table(&head, &rows.collect::<Vec<_>>(), "There is no such call.");
        Ok(Shown::new(text, calls.iter().map(json).collect()))
    }
}

/// A time, or how long ago.
fn since(text: &str, now: Timestamp) -> Result<Timestamp> {
    let wrong = || {
        Failure::usage(format!("--since: \"{text}\" is no time.")).next("Write 2026-11-21, 2026-11-21T10:00:00Z, 30m, 24h or 7d.")
    };
    if let Some(ago) = text.strip_suffix(['m', 'h', 'd']).and_then(|n| n.parse::<i64>().ok()) {
        let unit = match text.chars().last() {
            Some('m') => 1,
            Some('h') => 60,
            _ => 24 * 60,
        };
        let ago = ago.checked_mul(unit).and_then(TimeDelta::try_minutes).ok_or_else(wrong)?;
        return now.checked_sub_signed(ago).ok_or_else(wrong);
    }
    let time = parse_time(text).ok_or_else(wrong)?;
    // A bare date means its end where it is a limit; as a beginning it means its first moment.
    if text.len() == "2026-11-21".len() { Ok(time - TimeDelta::seconds(24 * 3600 - 1)) } else { Ok(time) }
}

fn milliseconds(us: i64) -> String {
    format!("{}.{}", us / 1000, us % 1000 / 100)
}

fn cut(text: &str, characters: usize) -> String {
    let text = printable(text);
    if text.chars().count() <= characters {
        return text;
    }
    text.chars().take(characters).chain(['…']).collect()
}

fn json(c: &Call) -> Value {
    // Stored as JSON; what was too long stands there as its size.
    let arguments: Value = serde_json::from_str(&c.arguments).unwrap_or_else(|_| Value::String(c.arguments.clone()));
    json!({
        "id": c.id,
        "org_id": c.org.to_string(),
        "instance": c.instance,
        "tool": c.tool,
        "category": c.category,
        "access": c.access,
        "facade": c.facade,
        "key_id": c.key,
        "key_label": c.key_label,
        "user_id": c.user,
        "session_id": c.session,
        "address": c.address,
        "arguments": arguments,
        "outcome": c.state,
        "code": c.code,
        "summary": c.summary,
        "latency_ms": c.latency_us.map(|us| std::time::Duration::from_micros(us.unsigned_abs()).as_secs_f64() * 1000.0),
        "affected": c.affected,
        "times": c.times,
        "node": c.node,
        "started_at": time_text(c.started_at),
        "ended_at": c.ended_at.map(time_text),
    })
}

fn log_json(r: &LogRow) -> Value {
    json!({
        "id": r.id,
        "org_id": r.org.map(|o| o.to_string()),
        "at": time_text(r.at),
        "actor": {"kind": r.actor_kind, "id": r.actor_id, "name": r.actor_name, "address": r.address},
        "action": r.action,
        "target": {"kind": r.target_kind, "id": r.target_id, "name": r.target_name},
        "detail": r.detail,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_is_a_time_or_how_long_ago() {
        let now = parse_time("2026-11-21T12:00:00Z").unwrap();
        let at = |text: &str| time_text(since(text, now).unwrap());
        assert_eq!(at("30m"), "2026-11-21T11:30:00.000000Z");
        assert_eq!(at("7d"), "2026-11-14T12:00:00.000000Z");
        assert_eq!(at("2026-11-20"), "2026-11-20T00:00:00.000000Z");
        assert_eq!(at("2026-11-20T10:00:00Z"), "2026-11-20T10:00:00.000000Z");
        assert!(since("yesterday", now).is_err() && since("99999999999999999999d", now).is_err());
        assert!(since("9223372036854775807d", now).is_err());
    }

    #[test]
    fn long_texts_are_cut_and_control_characters_do_not_reach_the_terminal() {
        assert_eq!(cut("abc\u{1b}", 10), "abc ");
        assert_eq!(cut("abcdef", 3), "abc…");
        assert_eq!(milliseconds(12_345), "12.3");
    }
}
