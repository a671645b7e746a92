use std::time::Duration;

use backends::docker::{Level, LogQuery, Record};
use kernel::{Timestamp, parse_time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    args::SearchWords,
    contract::{self as tool, *},
};

/// Read Odoo's log of this instance: the last records that fit, with tracebacks, secrets masked. With follow_seconds it waits for new ones and shows them as progress.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OdooLogs {
    /// Records, default 100, at most 1,000
    lines: Option<u64>,
    /// Part of a message, traceback or logger
    #[serde(default)]
    filter: SearchWords,
    /// debug, info, warning, error or critical: this or worse
    level: Option<String>,
    /// A time (2026-01-31T10:00:00Z), or how long ago: 10m, 2h, 1d
    since: Option<String>,
    /// Waits so many seconds for new records, at most 110
    follow_seconds: Option<u64>,
}
#[derive(Debug, Serialize, JsonSchema)]
pub struct Logs {
    /// Oldest first.
    pub records: Vec<Logged>,
    pub count: usize,
    /// Records that fit, those beyond `lines` too.
    pub matching: usize,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}
#[derive(Debug, Serialize, JsonSchema)]
pub struct Logged {
    /// UTC, as Odoo writes it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub time: String,
    /// Absent for lines that are not Odoo's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level: Option<&'static str>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub logger: String,
    pub message: String,
    /// What follows the message: a traceback as a rule.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub detail: Vec<String>,
}
impl Answer for Logs {
    const LIST: Option<&'static str> = Some("records");
    fn columns(&self) -> Vec<String> {
        ["time", "level", "logger", "message"].map(str::to_owned).into()
    }
    fn affected(&self) -> Option<u64> {
        Some(self.records.len() as u64)
    }
}
impl From<Record> for Logged {
    fn from(record: Record) -> Self {
        let mut detail = record.detail;
        if record.left_out > 0 {
            detail.push(format!("… {} left out", record.left_out));
        }
        Self { time: record.time, level: record.level.map(Level::as_str), logger: record.logger, message: record.message, detail }
    }
}

/// Unix seconds of a time, or of so long ago.
fn since(text: &str, now: Timestamp) -> Result<i64> {
    let text = text.trim();
    if let Some(at) = parse_time(text) {
        return Ok(at.timestamp());
    }
    let ago = text.strip_suffix(['s', 'm', 'h', 'd']).and_then(|n| n.parse::<i64>().ok()).filter(|n| (0..=100_000).contains(n));
    let unit = match text.chars().last() {
        Some('s') => 1,
        Some('m') => 60,
        Some('h') => 3_600,
        _ => 86_400,
    };
    match ago {
        Some(n) => Ok(now.timestamp().saturating_sub(n * unit)),
        None => Err(refusal(Code::InvalidArgument, "since is no time.")
            .next("Write 2026-01-31T10:00:00Z, or how long ago: 10m, 2h, 1d.")
            .into()),
    }
}

impl ReadTool for OdooLogs {
    type Answer = Logs;
    async fn call(self, cx: &ReadCx) -> Result<Logs> {
        let lines = self.lines.unwrap_or(100);
        if !(1..=1_000).contains(&lines) {
            return Err(refusal(Code::InvalidArgument, "lines: 1 to 1000.")
                .next("Use filter, level or since to find fewer.")
                .into());
        }
        let query = LogQuery {
            lines: usize::try_from(lines).unwrap_or(100),
            level: self.level,
            since: self.since.as_deref().map(|text| since(text, cx.now())).transpose()?,
            text: self.filter.get().map(str::to_owned),
            logger: None,
        };
        let container = cx.container()?;
        let (mut records, mut notes, mut matching) = (Vec::new(), Vec::new(), 0);
        if let Some(seconds) = self.follow_seconds {
            if !(1..=110).contains(&seconds) {
                return Err(refusal(Code::InvalidArgument, "follow_seconds: 1 to 110.")
                    .next("Raise timeout_seconds with it.")
                    .into());
            }
            container
                .follow(&query, Duration::from_secs(seconds), &mut |record| {
                    matching += 1;
                    let text: String = record.text().chars().take(500).collect();
                    cx.report(Progress { done: matching as u64, total: None, text });
                    if records.len() < query.lines {
                        records.push(Logged::from(record));
                    }
                })
                .await?;
            notes.push("What was logged while this call waited.".to_owned());
        } else {
            let found = container.logs(&query).await?;
            matching = found.matching;
            records = found.records.into_iter().map(Logged::from).collect();
            if found.cut {
                notes.push("There is more log before what was looked at: narrow it with since.".to_owned());
            }
        }
        if container.shared() {
            notes
                .push("Other instances run in this container: records of their databases, and of none, are left out.".to_owned());
        }
        Ok(Logs { count: records.len(), records, matching, notes })
    }
}
pub const TOOL: Tool = tool::read::<OdooLogs>("Odoo's log");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_how_long_ago() {
        let now = parse_time("2026-11-21T12:00:00Z").unwrap();
        assert_eq!(since("2026-11-21T11:00:00Z", now).unwrap(), now.timestamp() - 3_600);
        for (text, ago) in [("10m", 600), ("2h", 7_200), ("1d", 86_400), ("30s", 30)] {
            assert_eq!(since(text, now).unwrap(), now.timestamp() - ago, "{text}");
        }
        for bad in ["", "yesterday", "-5m", "5", "m", "999999999d"] {
            assert!(since(bad, now).is_err(), "{bad}");
        }
    }
}
