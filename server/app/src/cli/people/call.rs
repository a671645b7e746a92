//! `ocore call`
use std::{
    io::{IsTerminal as _, Write as _},
    path::PathBuf,
};

use clap::Args;
use serde_json::{Map, Value, json};

use super::{
    Target,
    access::Access,
    arguments::Given,
    mcp::{Answer, Instance, Progress, Reply, Tool},
    plain, render, tools,
};
use crate::{
    failure::{Exit, Failure, Result, nearest},
    terminal::{self, Shown},
};

#[derive(Debug, Args)]
#[command(
    after_help = "Arguments are name=value. What a value is follows from the tool; name:=JSON and name==text say it themselves, \
    name=@FILE reads a file and name=@- standard input, values.name=Acme makes a member of an object. A secret is taken from a file or \
    standard input alone, without the end of its line; at a terminal, password=@- asks for it. `ocore tools --search TOOL` shows what a \
    tool takes."
)]
pub struct Call {
    /// The tool: prod_search_read, or search_read with --instance
    tool: String,
    /// Its arguments
    #[arg(value_name = "NAME=VALUE")]
    words: Vec<String>,
    /// A file with a JSON object of arguments; - is standard input
    #[arg(long, value_name = "FILE")]
    args_file: Option<PathBuf>,
    /// The instance that it is for
    #[arg(long, value_name = "SLUG")]
    instance: Option<String>,
    /// Goes on where a confirmation is wanted
    #[arg(long)]
    yes: bool,
    /// Shows what would happen and changes nothing
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
    /// Prints the answer's text as the server sent it
    #[arg(long)]
    raw: bool,
    #[command(flatten)]
    target: Target,
}

impl Call {
    /// None: the answer was printed already.
    pub async fn run(self, json: bool) -> Result<Option<Shown>> {
        // What a person wrote is read before anybody is asked.
        let given = Given::read(&self.words, self.args_file.as_deref())?;
        let access = self.target.open().await?;
        let tool = self.tool(&access).await?;
        let mut given = given.fit(&tool.input)?;
        complete(&tool, &given, self.instance.as_deref())?;
        if self.dry_run {
            given.insert("dry_run".into(), json!(true));
        }
        let reads = self.dry_run || tool.annotations.read_only_hint;
        let answer = self.carry_out(&access, &tool.name, given, reads, json).await?;
        if json {
            let value = if answer.body.is_null() { json!({"text": answer.text}) } else { answer.body };
            return Ok(Some(Shown::new("", value)));
        }
        if self.raw {
            raw(&answer.text);
            return Ok(None);
        }
        Ok(Some(Shown::new(render::answer(&answer, super::width()), answer.body)))
    }

    /// The tool that is meant.
    async fn tool(&self, access: &Access) -> Result<Tool> {
        let instances: Vec<Instance> = if self.instance.is_some() || self.tool.starts_with("ocore_") {
            Vec::new()
        } else {
            serde_json::from_value(access.instances().await?).unwrap_or_default()
        };
        let meant = tools::meant(&self.tool, self.instance.as_deref(), &instances)?;
        let listed = access.tools(meant.slug.as_deref()).await?;
        meant.among(&listed).cloned().map_err(|name| {
            let missing =
                Failure::new(Exit::Refused, "unknown_tool", format!("There is no tool \"{}\" for you.", plain::cut(name, 80)));
            // What all names of an instance begin with makes none of them near.
            let prefix = meant.slug.as_deref().map(tools::prefix).unwrap_or_default();
            let short = name.strip_prefix(&prefix).unwrap_or(name);
            let known = listed.iter().map(|tool| tool.name.strip_prefix(&prefix).unwrap_or(&tool.name));
            match nearest(short, known) {
                Some(near) => {
                    let whole = listed.iter().any(|tool| tool.name == near);
                    let near = if whole || self.instance.is_some() { near.to_owned() } else { format!("{prefix}{near}") };
                    missing.next(format!("Did you mean {}?", plain::cut(&near, 80)))
                }
                None => missing.next("ocore tools --search TEXT finds tools."),
            }
        })
    }

    /// Calls, and asks where the server wants it. The run is bound to what was shown by the warning's token.
    async fn carry_out(
        &self,
        access: &Access,
        name: &str,
        mut given: Map<String, Value>,
        reads: bool,
        json: bool,
    ) -> Result<Answer> {
        let mut shown = false;
        loop {
            let mut steps = Steps::new(json);
            let reply = tokio::select! {
                reply = access.call(name, Value::Object(given.clone()), reads, |step| steps.show(&step)) => reply,
                _ = tokio::signal::ctrl_c() => {
                    steps.end();
                    return Err(if reads {
                        Failure::new(Exit::Failed, "cancelled", "You stopped it.")
                    } else {
                        Failure::new(Exit::Unknown, "outcome_unknown", "You stopped it, and the server was told. What had begun may have been carried out.")
                            .next("Look before you repeat it.")
                    });
                }
            };
            steps.end();
            let warning = match reply? {
                Reply::Done(answer) => return Ok(answer),
                Reply::Confirm(warning) => warning,
            };
            let said = |member: &str| warning.get(member).and_then(Value::as_str).unwrap_or("");
            let message = plain::lines(said("message"));
            let token = said("confirm_token").to_owned();
            let wanted = |next: &str| Failure::new(Exit::Refused, "confirm_required", message.clone()).next(next);
            if token.is_empty() || std::mem::replace(&mut shown, true) {
                // Asked twice: something changed meanwhile, and a person should look at it anew.
                return Err(wanted("Run the same command again."));
            }
            if !self.yes {
                if json || !terminal::interactive() {
                    return Err(wanted("If this is what you want, add --yes; --dry-run shows it in full."));
                }
                let plan = warning.get("plan").and_then(Value::as_object).map(render::plan).unwrap_or_default();
                terminal::remark(&format!("{message}\n{plan}"));
                let answer = ask("Go on? [y/N]").await?;
                if !matches!(answer.to_lowercase().as_str(), "y" | "yes") {
                    return Err(Failure::new(Exit::Refused, "cancelled", "Nothing was changed."));
                }
            }
            given.remove("confirm");
            given.insert("confirm_token".into(), token.into());
        }
    }
}

/// Whether everything is there that the tool cannot do without: the server would say so in its own words.
fn complete(tool: &Tool, given: &Map<String, Value>, instance: Option<&str>) -> Result<()> {
    let known = tool.input.get("properties").and_then(Value::as_object);
    if known.is_some_and(|known| given.keys().any(|name| !known.contains_key(name))) {
        // A name that is misspelt is what is missing; the server says which was meant.
        return Ok(());
    }
    let missing: Vec<&str> = tool.required().filter(|name| !given.contains_key(*name)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let name = plain::cut(&tool.name, 80);
    let named: Vec<String> = missing.iter().map(|name| plain::cut(name, 60)).collect();
    let on = instance.map(|slug| format!(" --instance {}", plain::cut(slug, 60))).unwrap_or_default();
    let short = instance.and_then(|slug| name.strip_prefix(&tools::prefix(slug))).unwrap_or(&name);
    Err(Failure::usage(format!("{name} needs {}.", named.join(" and "))).next(format!(
        "Add {}. ocore tools{on} --search {short} shows what it takes.",
        tools::examples(missing.into_iter()).trim()
    )))
}

/// Asks for a line. On a thread of its own, which nobody waits for: Ctrl-C must end the command while it reads.
async fn ask(question: &'static str) -> Result<String> {
    let (send, answer) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let _ = send.send(terminal::ask(question));
    });
    let stopped = || Failure::new(Exit::Refused, "cancelled", "You stopped it. Nothing was changed.");
    tokio::select! {
        answer = answer => answer.map_err(|_| stopped())?.map_err(|e| Failure::because("The terminal cannot be read", &e)),
        _ = tokio::signal::ctrl_c() => {
            terminal::remark("");
            Err(stopped())
        }
    }
}

/// A text as it came. A terminal is spared what it would obey.
fn raw(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let text = if stdout.is_terminal() { plain::lines(text) } else { text.to_owned() };
    let end = if text.ends_with('\n') { "" } else { "\n" };
    // A reader that is gone has what it wanted.
    let _ = write!(stdout, "{text}{end}");
    let _ = stdout.flush();
}

/// The steps of long work, on the terminal of a person.
struct Steps {
    live: bool,
    some: bool,
}
impl Steps {
    fn new(json: bool) -> Self {
        Self { live: !json && std::io::stderr().is_terminal(), some: false }
    }
    fn show(&mut self, step: &Progress) {
        if !self.live {
            return;
        }
        self.some = true;
        let share = match step.total {
            Some(total) if total > 0.0 => format!("{:3.0} % ", (step.done / total * 100.0).clamp(0.0, 100.0)),
            _ => String::new(),
        };
        let room =
            terminal_size::terminal_size_of(std::io::stderr()).map_or(80, |(width, _)| usize::from(width.0)).saturating_sub(8);
        let mut stderr = std::io::stderr().lock();
        let _ = write!(stderr, "\r\u{1b}[K{share}{}", plain::cut(&step.text, room.max(20)));
        let _ = stderr.flush();
    }
    fn end(&mut self) {
        if std::mem::take(&mut self.some) {
            let _ = write!(std::io::stderr().lock(), "\r\u{1b}[K");
        }
    }
}
