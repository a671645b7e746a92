//! What the tools of the shell have in common.
use backends::docker::Executed;
use kernel::{Code, Plan, Result, refusal};
use schemars::JsonSchema;
use serde::Serialize;

use crate::contract::{Answer, ReadCx};

/// Bytes of code in one call.
const LONGEST: usize = 100 * 1024;
const MOST_PIECES: usize = 20;

#[derive(Debug, Serialize, JsonSchema)]
pub struct Ran {
    pub stdout: String,
    pub stderr: String,
    /// 0; 1 after an exception; what sys.exit was given; 124 at the deadline; 128 + n when a signal ended it.
    pub exit_code: i32,
    /// repr of the last expression.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// The exception, with the lines of the code it came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Raised>,
    /// Whether anything was committed; absent when there is no telling.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub committed: Option<bool>,
    pub seconds: f64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}
#[derive(Debug, Serialize, JsonSchema)]
pub struct Raised {
    pub message: String,
    /// In the code, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    pub traceback: String,
}
impl Answer for Ran {
    fn unknown(&self) -> bool {
        // Ended from outside, it may have committed before.
        self.committed.is_none()
    }
}
impl From<Executed> for Ran {
    fn from(ran: Executed) -> Self {
        let mut notes = Vec::new();
        if let Some(why) = ran.killed {
            notes.push(format!("It was ended by {why}; its process and what it had started are gone."));
        }
        for (name, printed) in [("stdout", &ran.stdout), ("stderr", &ran.stderr)] {
            if printed.dropped > 0 {
                notes.push(format!("{} bytes in the middle of {name} were left out.", printed.dropped));
            }
        }
        match ran.committed {
            Some(false) => notes.push("Nothing was committed: what it changed is rolled back.".to_owned()),
            Some(true) => notes.push("It committed: its changes are there.".to_owned()),
            None => notes.push("Whether it committed is not known: look at what it was to change.".to_owned()),
        }
        Self {
            stdout: ran.stdout.text,
            stderr: ran.stderr.text,
            exit_code: ran.exit_code,
            value: ran.value,
            error: ran.error.map(|(message, line, traceback)| Raised { message, line, traceback }),
            committed: ran.committed,
            seconds: (ran.took.as_secs_f64() * 1000.0).round() / 1000.0,
            notes,
        }
    }
}

/// Refuses what is none, or too much of it.
pub fn checked(pieces: &[&str]) -> Result<()> {
    let no =
        |message: String| Err(refusal(Code::InvalidArgument, message).next("Split it, or put the work into a module.").into());
    if pieces.is_empty() || pieces.iter().any(|code| code.trim().is_empty()) {
        return Err(refusal(Code::InvalidArgument, "There is no code to run.").next("Give Python code.").into());
    }
    if pieces.len() > MOST_PIECES {
        return no(format!("{} pieces are too many; one call takes {MOST_PIECES}.", pieces.len()));
    }
    let bytes: usize = pieces.iter().map(|code| code.len()).sum();
    if bytes > LONGEST {
        return no(format!("The code has {bytes} bytes; one call takes {LONGEST}."));
    }
    Ok(())
}

/// What would be run: no more can be told of code.
pub fn plan(cx: &ReadCx, pieces: &[&str]) -> Result<Plan> {
    checked(pieces)?;
    cx.container()?;
    let lines: usize = pieces.iter().map(|code| code.lines().count()).sum();
    Ok(Plan {
        summary: format!("Would run {} of Python in Odoo's shell", crate::module_ops::counted(lines, "line")),
        affected: 0,
        examples: pieces
            .iter()
            .take(10)
            .map(|code| code.lines().next().unwrap_or_default().chars().take(120).collect())
            .collect(),
        warnings: vec!["What code changes cannot be foretold; no access rights hold in the shell.".to_owned()],
        ids: Vec::new(),
    })
}
