//! `ocore note …`, `ocore filter …`, `ocore bookmark …`
use admin::knowledge::{self, Bookmark, Filter, NewNote, Note, NoteUpdate, Of, Scope, TargetType};
use clap::{Args, Subcommand};
use kernel::{knowledge::excerpt, time_text};
use serde_json::{Value, json};

use super::{
    Given,
    input::{self, words},
};
use crate::{
    failure::{Failure, Result},
    terminal::{self, Shown, printable},
    wiring::Base,
};

/// Whose knowledge.
#[derive(Debug, Args)]
pub struct Whose {
    /// Those of this organization
    #[arg(long, value_name = "SLUG", required_unless_present = "instance")]
    org: Option<String>,
    /// Only those of this instance
    #[arg(long, value_name = "SLUG")]
    instance: Option<String>,
}
impl From<Whose> for Scope {
    fn from(whose: Whose) -> Self {
        Self { org: whose.org, instance: whose.instance }
    }
}

#[derive(Debug, Subcommand)]
pub enum NoteCommand {
    /// Lists notes and summaries, the last changed first
    List {
        #[command(flatten)]
        whose: Whose,
        /// Only summaries that nobody has approved
        #[arg(long)]
        waiting: bool,
    },
    /// Writes a note, or with --summary the one summary of an instance or model
    Add(Add),
    /// Changes a note; of a summary, the new text counts as approved
    Edit(Edit),
    /// Lets a summary be shown to assistants at the start of their conversations
    Approve {
        /// The note's id, as the list shows it
        id: String,
        /// Only if it is this version still
        #[arg(long, value_name = "N")]
        version: Option<i64>,
        /// Does not ask whether the text is right
        #[arg(long)]
        yes: bool,
    },
    /// Deletes a note for everybody
    Delete {
        /// The note's id, as the list shows it
        id: String,
        /// Does not ask
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, Args)]
pub struct Add {
    /// The instance that it is about
    #[arg(long, value_name = "SLUG")]
    instance: String,
    /// About a model, like sale.order [default: about the instance]
    #[arg(long, conflicts_with_all = ["record", "field", "module"])]
    model: Option<String>,
    /// About a record, like res.partner,42
    #[arg(long, value_name = "MODEL,ID", conflicts_with_all = ["field", "module"])]
    record: Option<String>,
    /// About a field, like sale.order.x_notes
    #[arg(long, value_name = "MODEL.FIELD", conflicts_with = "module")]
    field: Option<String>,
    /// About a module, like sale_stock
    #[arg(long)]
    module: Option<String>,
    /// At most 200 characters
    #[arg(long, required_unless_present = "summary")]
    title: Option<String>,
    /// At most 2,000 characters; - reads standard input
    #[arg(long)]
    body: String,
    /// Words to find it by
    #[arg(long, value_name = "A,B", default_value = "", hide_default_value = true)]
    tags: String,
    /// It is the one summary of the instance or model, shown to assistants whose key has auto-context
    #[arg(long, conflicts_with_all = ["title", "record", "field", "module"])]
    summary: bool,
}

#[derive(Debug, Args)]
pub struct Edit {
    /// The note's id, as the list shows it
    id: String,
    /// At most 200 characters
    #[arg(long)]
    title: Option<String>,
    /// At most 2,000 characters; - reads standard input
    #[arg(long)]
    body: Option<String>,
    /// In place of those it has; '' for none
    #[arg(long, value_name = "A,B")]
    tags: Option<String>,
}

#[derive(Debug, Subcommand)]
pub enum FilterCommand {
    /// Lists saved filters, the most used first
    List {
        #[command(flatten)]
        whose: Whose,
    },
    /// Deletes a filter for everybody
    Delete {
        /// The filter's id, as the list shows it
        id: String,
        /// Does not ask
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, Subcommand)]
pub enum BookmarkCommand {
    /// Lists bookmarked calls, the newest first
    List {
        #[command(flatten)]
        whose: Whose,
    },
    /// Deletes a bookmark for everybody
    Delete {
        /// The bookmark's id, as the list shows it
        id: String,
        /// Does not ask
        #[arg(long)]
        yes: bool,
    },
}

impl NoteCommand {
    pub async fn run(self, given: &Given) -> Result<Shown> {
        let (_, base) = given.open().await?;
        let shown = self.done(&base).await;
        base.close().await;
        shown
    }
    async fn done(self, base: &Base) -> Result<Shown> {
        let (admin, by) = (&base.admin, &base.by);
        Ok(match self {
            Self::List { whose, waiting } => {
                let found = knowledge::notes(admin, by, &whose.into(), waiting).await?;
                let rows = found.iter().map(|n| {
                    vec![
                        n.it.id.clone(),
                        n.instance.clone(),
                        about(&n.it),
                        excerpt(&printable(&n.it.title), 50),
                        state(&n.it),
                        printable(&n.it.author.name),
                        time_text(n.it.updated_at),
                    ]
                });
                let head = ["ID", "INSTANCE", "ABOUT", "TITLE", "STATE", "BY", "CHANGED"];
                let empty = if waiting { "No summary waits for an approval." } else { "There is no note yet." };
                Shown::new(terminal::table(&head, &rows.collect::<Vec<_>>(), empty), found.iter().map(note_json).collect())
            }
            Self::Add(add) => {
                let (target_type, target) = match (&add.model, &add.record, &add.field, &add.module) {
                    (Some(text), ..) => (TargetType::Model, Some(text)),
                    (_, Some(text), ..) => (TargetType::Record, Some(text)),
                    (_, _, Some(text), _) => (TargetType::Field, Some(text)),
                    (.., Some(text)) => (TargetType::Module, Some(text)),
                    _ => (TargetType::Instance, None),
                };
                let new = NewNote {
                    instance: add.instance,
                    target_type,
                    target: target.cloned(),
                    title: add.title,
                    body: body(&add.body)?,
                    tags: words(&add.tags),
                    summary: add.summary,
                };
                let note = knowledge::add(admin, by, &new).await?;
                Shown::new(format!("{} has the note {}.", note.instance, note.it.id), note_json(&note))
            }
            Self::Edit(edit) => {
                if edit.title.is_none() && edit.body.is_none() && edit.tags.is_none() {
                    return Err(Failure::usage("Nothing to change was named.").next("Add --title, --body or --tags."));
                }
                let update = NoteUpdate {
                    title: edit.title,
                    body: edit.body.as_deref().map(body).transpose()?,
                    tags: edit.tags.as_deref().map(words),
                };
                let note = knowledge::edit(admin, by, &edit.id, &update).await?;
                Shown::new(format!("Changed the note {}.", note.it.id), note_json(&note))
            }
            Self::Approve { id, version, yes } => {
                let read = knowledge::show(admin, by, &id).await?;
                if !yes && terminal::interactive() {
                    terminal::remark(&format!(
                        "Summary of {} on {}:\n\n{}\n",
                        about(&read.it),
                        read.instance,
                        lines(&read.it.body)
                    ));
                }
                input::confirmed(yes, "Shall assistants be shown this?")?;
                let note = knowledge::approve(admin, by, &id, version.unwrap_or(read.it.version)).await?;
                Shown::new(format!("Approved the summary of {} on {}.", about(&note.it), note.instance), note_json(&note))
            }
            Self::Delete { id, yes } => {
                let read = knowledge::show(admin, by, &id).await?;
                input::confirmed(yes, &format!("Delete the note \"{}\" on {}?", printable(&read.it.title), read.instance))?;
                let note = knowledge::delete(admin, by, &id).await?;
                Shown::new(format!("Deleted the note {}.", note.it.id), note_json(&note))
            }
        })
    }
}

impl FilterCommand {
    pub async fn run(self, given: &Given) -> Result<Shown> {
        let (_, base) = given.open().await?;
        let shown = self.done(&base).await;
        base.close().await;
        shown
    }
    async fn done(self, base: &Base) -> Result<Shown> {
        let (admin, by) = (&base.admin, &base.by);
        Ok(match self {
            Self::List { whose } => {
                let found = knowledge::filters(admin, by, &whose.into()).await?;
                let rows = found.iter().map(|f| {
                    let default = if f.it.is_default { "default" } else { "" };
                    let count = f.it.use_count.to_string();
                    vec![f.it.id.clone(), f.instance.clone(), printable(&f.it.name), f.it.model.clone(), count, default.into()]
                });
                let head = ["ID", "INSTANCE", "NAME", "MODEL", "RUN", ""];
                let text = terminal::table(&head, &rows.collect::<Vec<_>>(), "There is no filter yet.");
                Shown::new(text, found.iter().map(filter_json).collect())
            }
            Self::Delete { id, yes } => {
                input::confirmed(yes, &format!("Delete the filter {}?", printable(&id)))?;
                let filter = knowledge::delete_filter(admin, by, &id).await?;
                Shown::new(format!("Deleted the filter \"{}\".", printable(&filter.it.name)), filter_json(&filter))
            }
        })
    }
}

impl BookmarkCommand {
    pub async fn run(self, given: &Given) -> Result<Shown> {
        let (_, base) = given.open().await?;
        let shown = self.done(&base).await;
        base.close().await;
        shown
    }
    async fn done(self, base: &Base) -> Result<Shown> {
        let (admin, by) = (&base.admin, &base.by);
        Ok(match self {
            Self::List { whose } => {
                let found = knowledge::bookmarks(admin, by, &whose.into()).await?;
                let rows = found.iter().map(|b| {
                    let label = excerpt(&printable(&b.it.label), 50);
                    let (tool, key) = (b.it.call.tool.clone(), printable(&b.it.key_label));
                    vec![b.it.id.clone(), b.instance.clone(), label, tool, b.it.call.state.clone(), key, time_text(b.it.call.at)]
                });
                let head = ["ID", "INSTANCE", "LABEL", "TOOL", "OUTCOME", "KEY", "CALLED"];
                let text = terminal::table(&head, &rows.collect::<Vec<_>>(), "There is no bookmark yet.");
                Shown::new(text, found.iter().map(bookmark_json).collect())
            }
            Self::Delete { id, yes } => {
                input::confirmed(yes, &format!("Delete the bookmark {}?", printable(&id)))?;
                let bookmark = knowledge::delete_bookmark(admin, by, &id).await?;
                Shown::new(format!("Deleted the bookmark \"{}\".", printable(&bookmark.it.label)), bookmark_json(&bookmark))
            }
        })
    }
}

/// The text of an option, or of standard input.
fn body(given: &str) -> Result<String> {
    if given != "-" {
        return Ok(given.to_owned());
    }
    // More than any note may have: what is longer is refused, not cut.
    let limit = 1024 * 1024;
    let mut text = String::new();
    std::io::Read::read_to_string(&mut std::io::Read::take(std::io::stdin(), limit), &mut text)
        .map_err(|e| Failure::because("Standard input cannot be read", &e))?;
    Ok(text)
}

fn about(note: &Note) -> String {
    note.target.words()
}
fn state(note: &Note) -> String {
    match (note.is_summary, &note.approved) {
        (false, _) => String::new(),
        (true, Some(_)) => "approved".into(),
        (true, None) => "waiting".into(),
    }
}
/// Several lines for a terminal.
fn lines(text: &str) -> String {
    text.lines().map(printable).collect::<Vec<_>>().join("\n")
}

fn note_json(n: &Of<Note>) -> Value {
    let note = &n.it;
    json!({
        "id": note.id,
        "instance": n.instance,
        "target_type": note.target.kind(),
        "target": note.target.as_str(),
        "title": note.title,
        "body": note.body,
        "tags": note.tags,
        "summary": note.is_summary,
        "version": note.version,
        "written_by": {"kind": note.author.kind, "id": note.author.id, "name": note.author.name},
        "approved": note.approved.as_ref().map(|(by, at)| json!({"by": by, "at": time_text(*at)})),
        "created_at": time_text(note.created_at),
        "updated_at": time_text(note.updated_at),
    })
}
fn filter_json(f: &Of<Filter>) -> Value {
    let filter = &f.it;
    json!({
        "id": filter.id,
        "instance": f.instance,
        "name": filter.name,
        "model": filter.model,
        "domain": filter.domain,
        "fields": filter.fields,
        "order": filter.order,
        "limit": filter.limit,
        "description": filter.description,
        "default": filter.is_default,
        "use_count": filter.use_count,
        "written_by": {"kind": filter.author.kind, "id": filter.author.id, "name": filter.author.name},
        "created_at": time_text(filter.created_at),
        "updated_at": time_text(filter.updated_at),
    })
}
fn bookmark_json(b: &Of<Bookmark>) -> Value {
    let (bookmark, call) = (&b.it, &b.it.call);
    let arguments: Value = serde_json::from_str(&call.arguments).unwrap_or_else(|_| Value::String(call.arguments.clone()));
    json!({
        "id": bookmark.id,
        "instance": b.instance,
        "label": bookmark.label,
        "note": bookmark.note,
        "tags": bookmark.tags,
        "key_id": bookmark.key.to_string(),
        "key_label": bookmark.key_label,
        "tool": call.tool,
        "arguments": arguments,
        "outcome": call.state,
        "code": call.code,
        "result_summary": call.summary,
        "audit_log_id": call.id,
        "called_at": time_text(call.at),
        "created_at": time_text(bookmark.created_at),
    })
}
