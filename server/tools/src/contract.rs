//! What a tool is. Access is the trait: the examples at the bottom must not compile.
use std::{future::Future, ops::Deref, sync::Arc};

use futures_util::future::BoxFuture;
pub use kernel::{Access, Category, Changes, Code, Facts, Fault, Plan, Progress, Refusal, Result, refusal};
use kernel::{Actor, Instance, Server, WritePermit};
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{
    Value,
    value::{RawValue, to_raw_value},
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::schema;

/// The argument struct *is* the tool: its doc comment is the tool's description, its fields' are the arguments'.
pub trait Args: DeserializeOwned + JsonSchema {}
impl<T: DeserializeOwned + JsonSchema> Args for T {}

/// How an answer's list is shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    #[default]
    Json,
    Text,
    Table,
    Csv,
}

/// What a tool answers. The shape stage cuts [`Answer::LIST`] by whole items and renders [`Answer::format`]; tools do neither.
pub trait Answer: Serialize + JsonSchema + Send + 'static {
    /// The property that holds the records, if there is one.
    const LIST: Option<&'static str> = None;
    fn format(&self) -> Format {
        Format::Json
    }
    /// The columns of the list in order, for the formats that have columns; empty means those of the first item.
    fn columns(&self) -> Vec<String> {
        Vec::new()
    }
    /// How many records were touched or found, for the audit row.
    fn affected(&self) -> Option<u64> {
        None
    }
    /// Whether some of what was asked may or may not have been done.
    fn unknown(&self) -> bool {
        false
    }
    /// Images and other content beside the structured answer.
    fn content(&mut self) -> Vec<Content> {
        Vec::new()
    }
}

pub trait ReadTool: Send + Sync + Sized + 'static {
    type Answer: Answer;
    fn call(self, cx: &ReadCx) -> impl Future<Output = Result<Self::Answer>> + Send;
}
pub trait WriteTool: Send + Sync + Sized + 'static {
    type Answer: Answer;
    const CHANGES: Changes = Changes::Instance;
    /// Whether these arguments need `confirm: true`. A tool registered as destructive always does.
    fn confirm(&self) -> bool {
        false
    }
    /// What `dry_run` and the warning show. Reads only.
    fn plan(&self, cx: &ReadCx) -> impl Future<Output = Result<Plan>> + Send;
    fn call(self, cx: &WriteCx) -> impl Future<Output = Result<Self::Answer>> + Send;
    /// For [`Tool::operation`]s: ocore ended while the call ran, and this process takes over. `journal` is what the run left
    /// with [`WriteCx::checkpoint`] last. Goes on, or looks at the instance and tells what became of it.
    fn resume(self, cx: &WriteCx, journal: Value) -> impl Future<Output = Result<Self::Answer>> + Send {
        let _ = (cx, journal);
        async {
            Err(Fault::unknown(
                "ocore was stopped while this ran, and nothing tells how far it came.",
                "Look at what it was to change before you call again.",
            ))
        }
    }
}
/// The arguments decide: each half carries the proof that `split` found (a method of the read list, a parsed SELECT).
pub trait MixedTool: Args {
    type Answer: Answer;
    type Read: ReadTool<Answer = Self::Answer>;
    type Write: WriteTool<Answer = Self::Answer>;
    fn split(self) -> Result<Split<Self::Read, Self::Write>>;
}
pub enum Split<R, W> {
    Read(R),
    Write(W),
}
/// What the instance answers decides, not the arguments: a report that keeps its PDF writes, another only reads.
pub trait ProbedTool: Args + Send + 'static {
    type Answer: Answer;
    type Read: ReadTool<Answer = Self::Answer>;
    type Write: WriteTool<Answer = Self::Answer>;
    /// Looks, by reads only. The write half passes the guard, the confirmation and the audit like any other write.
    fn probe(self, cx: &ReadCx) -> impl Future<Output = Result<Split<Self::Read, Self::Write>>> + Send;
}

// ---- erased, for dispatch

#[derive(Clone)]
pub struct Reply {
    /// Serialized once; parsed again only when it must be cut or rendered.
    pub body: Box<RawValue>,
    pub list: Option<&'static str>,
    pub format: Format,
    pub columns: Vec<String>,
    pub affected: Option<u64>,
    /// Some of it may or may not have been done: the audit says so.
    pub unknown: bool,
    pub content: Vec<Content>,
}
/// An image or a document beside the structured answer.
#[derive(Debug, Clone)]
pub struct Content {
    pub mime: String,
    pub bytes: Vec<u8>,
}
pub enum Prepared {
    Read(Box<dyn PreparedRead>),
    Write(Box<dyn PreparedWrite>),
    /// Not known yet: the instance is asked first.
    Probe(Box<dyn PreparedProbe>),
}
pub trait PreparedProbe: Send {
    /// Gives one of the other two.
    fn probe(self: Box<Self>, cx: &ReadCx) -> BoxFuture<'_, Result<Prepared>>;
}
impl<T: ProbedTool> PreparedProbe for T {
    fn probe(self: Box<Self>, cx: &ReadCx) -> BoxFuture<'_, Result<Prepared>> {
        Box::pin(async move {
            Ok(match ProbedTool::probe(*self, cx).await? {
                Split::Read(r) => Prepared::Read(Box::new(r)),
                Split::Write(w) => Prepared::Write(Box::new(w)),
            })
        })
    }
}
pub trait PreparedRead: Send {
    fn run(self: Box<Self>, cx: &ReadCx) -> BoxFuture<'_, Result<Reply>>;
}
pub trait PreparedWrite: Send + Sync {
    fn needs_confirm(&self) -> bool;
    fn preview<'a>(&'a self, cx: &'a ReadCx) -> BoxFuture<'a, Result<Plan>>;
    fn run(self: Box<Self>, cx: &WriteCx) -> BoxFuture<'_, Result<Reply>>;
    fn resume(self: Box<Self>, cx: &WriteCx, journal: Value) -> BoxFuture<'_, Result<Reply>>;
}
impl<T: ReadTool> PreparedRead for T {
    fn run(self: Box<Self>, cx: &ReadCx) -> BoxFuture<'_, Result<Reply>> {
        Box::pin(async move { reply((*self).call(cx).await?) })
    }
}
impl<T: WriteTool> PreparedWrite for T {
    fn needs_confirm(&self) -> bool {
        self.confirm()
    }
    fn preview<'a>(&'a self, cx: &'a ReadCx) -> BoxFuture<'a, Result<Plan>> {
        Box::pin(self.plan(cx))
    }
    fn run(self: Box<Self>, cx: &WriteCx) -> BoxFuture<'_, Result<Reply>> {
        Box::pin(async move { reply((*self).call(cx).await?) })
    }
    fn resume(self: Box<Self>, cx: &WriteCx, journal: Value) -> BoxFuture<'_, Result<Reply>> {
        Box::pin(async move { reply(WriteTool::resume(*self, cx, journal).await?) })
    }
}
fn reply<A: Answer>(mut answer: A) -> Result<Reply> {
    let content = answer.content();
    Ok(Reply {
        body: to_raw_value(&answer).map_err(|_| Fault::failed("serializing an answer"))?,
        list: A::LIST,
        format: answer.format(),
        columns: answer.columns(),
        affected: answer.affected(),
        unknown: answer.unknown(),
        content,
    })
}
fn decode<A: Args>(mut arguments: Value) -> Result<A> {
    // Models send null for what they leave out.
    if let Value::Object(map) = &mut arguments {
        map.retain(|_, value| !value.is_null());
    }
    serde_path_to_error::deserialize(arguments).map_err(|e| {
        let path = e.path().to_string();
        let what = e.inner().to_string();
        let message = if path == "." { what } else { format!("{path}: {what}") };
        refusal(Code::InvalidArgument, message).next("Look at the tool's input schema.").into()
    })
}

pub struct Tool {
    pub facts: Facts,
    pub title: &'static str,
    /// The block-listed models that this tool is the dedicated way to.
    pub lifts: &'static [&'static str],
    /// A limit of its own in calls per minute, beside the key's.
    pub per_minute: Option<u32>,
    /// The shortest deadline, whatever `timeout_seconds` says.
    pub least_seconds: u64,
    /// Long work: it goes on after the deadline and without the client, for so many seconds at most. 0 for ordinary calls.
    pub operation_seconds: u64,
    /// How large its answer may be unless `max_response_size` says otherwise, and at most; 0 is as for all tools.
    pub response_kb: usize,
    pub input: fn() -> Schema,
    pub output: fn() -> Schema,
    pub prepare: fn(Value) -> Result<Prepared>,
}
const fn tool(
    title: &'static str,
    access: Access,
    least: Access,
    changes: Changes,
    io: [fn() -> Schema; 2],
    prepare: fn(Value) -> Result<Prepared>,
) -> Tool {
    let [input, output] = io;
    Tool {
        facts: Facts { name: "", category: Category::Platform, access, least, changes },
        title,
        lifts: &[],
        per_minute: None,
        least_seconds: 0,
        operation_seconds: 0,
        response_kb: 0,
        input,
        output,
        prepare,
    }
}
/// A tool that only reads.
pub const fn read<T: ReadTool + Args>(title: &'static str) -> Tool {
    tool(title, Access::Read, Access::Read, Changes::Ocore, [schema::input::<T>, schema::output::<T::Answer>], |v| {
        Ok(Prepared::Read(Box::new(decode::<T>(v)?)))
    })
}
/// A tool that changes something; it confirms when its arguments say so.
pub const fn write<T: WriteTool + Args>(title: &'static str) -> Tool {
    tool(title, Access::Write, Access::Write, T::CHANGES, [schema::input::<T>, schema::output::<T::Answer>], |v| {
        Ok(Prepared::Write(Box::new(decode::<T>(v)?)))
    })
}
/// A tool whose effects are hard to undo; it always confirms.
pub const fn destructive<T: WriteTool + Args>(title: &'static str) -> Tool {
    let mut tool = write::<T>(title);
    tool.facts.access = Access::Destructive;
    tool.facts.least = Access::Destructive;
    tool
}
/// A tool whose arguments decide whether it reads or writes.
pub const fn mixed<T: MixedTool>(title: &'static str) -> Tool {
    tool(
        title,
        Access::Write,
        Access::Read,
        <T::Write as WriteTool>::CHANGES,
        [schema::input::<T>, schema::output::<<T as MixedTool>::Answer>],
        |v| {
            Ok(match decode::<T>(v)?.split()? {
                Split::Read(r) => Prepared::Read(Box::new(r)),
                Split::Write(w) => Prepared::Write(Box::new(w)),
            })
        },
    )
}
/// A tool of which the instance decides whether it reads or writes; listed as a read.
pub const fn probed<T: ProbedTool>(title: &'static str) -> Tool {
    tool(
        title,
        Access::Read,
        Access::Read,
        <T::Write as WriteTool>::CHANGES,
        [schema::input::<T>, schema::output::<<T as ProbedTool>::Answer>],
        |v| Ok(Prepared::Probe(Box::new(decode::<T>(v)?))),
    )
}
impl Tool {
    /// Names the block-listed models that this tool is the dedicated way to.
    #[must_use]
    pub const fn lifting(mut self, models: &'static [&'static str]) -> Self {
        self.lifts = models;
        self
    }
    /// Limits the tool to so many calls per minute and key.
    #[must_use]
    pub const fn at_most_per_minute(mut self, calls: u32) -> Self {
        self.per_minute = Some(calls);
        self
    }
    /// Gives the tool at least so much time.
    #[must_use]
    pub const fn at_least_seconds(mut self, seconds: u64) -> Self {
        self.least_seconds = seconds;
        self
    }
    /// Makes the call an operation: at its deadline, or when the client is gone, it answers "running" and goes on, for at most
    /// `seconds`; the same call attaches to it again.
    #[must_use]
    pub const fn operation(mut self, seconds: u64) -> Self {
        self.operation_seconds = seconds;
        self
    }
    /// Lets the answer be so large: for tools whose answer is one file.
    #[must_use]
    pub const fn response_kb(mut self, kilobytes: usize) -> Self {
        self.response_kb = kilobytes;
        self
    }
    #[must_use]
    pub const fn named(mut self, name: &'static str, category: Category) -> Self {
        self.facts.name = name;
        self.facts.category = category;
        self
    }
}

// ---- what a tool may use

/// What the caller may see of the registry; filled for platform tools.
#[derive(Debug, Clone, Default)]
pub struct Directory {
    pub instances: Vec<Arc<Instance>>,
    pub servers: Vec<Arc<Server>>,
    /// Hosts are for operators alone.
    pub operator: bool,
}

/// The ways out of a call, each bound to its tenant, instance and scope. Dispatch opens those that the tool's category works with.
pub struct Handles {
    /// Or why there is none.
    pub sql: Option<std::result::Result<backends::postgres::Reader, Refusal>>,
    /// Or why there is none.
    pub container: Option<std::result::Result<backends::docker::Reader, Refusal>>,
    /// Or why there is none, said when a tool asks for it.
    pub odoo: std::result::Result<backends::odoo::Reader, Refusal>,
    /// Or why there are none.
    pub backups: Option<std::result::Result<backends::backup::Reader, Refusal>>,
    /// Or why there are none.
    pub files: Option<std::result::Result<backends::files::Reader, Refusal>>,
    pub knowledge: Option<store::knowledge::Knowledge>,
    pub ledger: Option<store::ledger::Ledger>,
    pub cooldowns: Option<store::cooldowns::Cooldowns>,
    pub file_undo: Option<store::file_undo::FileUndo>,
    /// Or why there are none.
    pub impersonations: Option<std::result::Result<store::impersonations::Impersonations, Refusal>>,
    /// Or why there is none.
    pub posthog: Option<std::result::Result<backends::posthog::Reader, Refusal>>,
}
#[cfg(test)]
impl Handles {
    /// No way out at all.
    pub fn none() -> Self {
        let odoo = Err(refusal(Code::NotConfigured, "none"));
        Self {
            sql: None,
            container: None,
            files: None,
            backups: None,
            odoo,
            knowledge: None,
            ledger: None,
            cooldowns: None,
            impersonations: None,
            file_undo: None,
            posthog: None,
        }
    }
}

/// The reading side of a call. Owned, so that the run can outlive the connection that asked for it.
pub struct ReadCx {
    actor: Arc<Actor>,
    instance: Option<Arc<Instance>>,
    // Apart, because it is large and moves with every call from task to task.
    handles: Box<Handles>,
    directory: Directory,
    now: kernel::Timestamp,
    pub cancel: CancellationToken,
    progress: watch::Sender<Progress>,
}
impl ReadCx {
    pub fn new(
        actor: Arc<Actor>,
        instance: Option<Arc<Instance>>,
        handles: Handles,
        directory: Directory,
        now: kernel::Timestamp,
        cancel: CancellationToken,
        progress: watch::Sender<Progress>,
    ) -> Self {
        Self { actor, instance, handles: Box::new(handles), directory, now, cancel, progress }
    }
    /// Whether the caller could call this tool on this instance: what is shown of others' work goes by it.
    pub fn may_call(&self, tool: &str) -> bool {
        crate::CATALOGUE.iter().find(|t| t.facts.name == tool).is_some_and(|t| {
            let at = t.facts.on_instance().then_some(self.instance.as_deref()).flatten();
            kernel::policy::decide(&self.actor, &t.facts, at, self.now).is_ok()
        })
    }
    /// Whether the caller may read records of this model at all, as far as its policy says.
    pub fn may_read(&self, model: &str) -> bool {
        self.handles.odoo.as_ref().is_ok_and(|odoo| odoo.scope().readable(model).is_ok())
    }
    /// The instance that the call names.
    pub fn instance(&self) -> Result<&Arc<Instance>> {
        self.instance.as_ref().ok_or_else(|| Fault::failed("a platform tool asked for an instance"))
    }
    pub fn odoo(&self) -> Result<&backends::odoo::Reader> {
        self.handles.odoo.as_ref().map_err(|why| why.clone().into())
    }
    /// For tools of the category context.
    pub fn knowledge(&self) -> Result<&store::knowledge::Knowledge> {
        self.handles.knowledge.as_ref().ok_or_else(|| Fault::failed("a tool of another category asked for knowledge"))
    }
    /// For tools of the category modules.
    pub fn ledger(&self) -> Result<&store::ledger::Ledger> {
        self.handles.ledger.as_ref().ok_or_else(|| Fault::failed("a tool of another category asked for the ledger"))
    }
    /// For tools of the category system.
    pub fn cooldowns(&self) -> Result<&store::cooldowns::Cooldowns> {
        self.handles.cooldowns.as_ref().ok_or_else(|| Fault::failed("a tool of another category asked for cooldowns"))
    }
    /// For tools of the category system.
    pub fn impersonations(&self) -> Result<&store::impersonations::Impersonations> {
        opened(self.handles.impersonations.as_ref(), "impersonation")
    }
    /// For tools of the category files.
    pub fn file_undo(&self) -> Result<&store::file_undo::FileUndo> {
        self.handles.file_undo.as_ref().ok_or_else(|| Fault::failed("a tool of another category asked for kept changes"))
    }
    /// What the caller may do in its organization at most.
    pub fn role(&self) -> kernel::Role {
        self.actor.role()
    }
    /// For tools of the category monitoring.
    pub fn posthog(&self) -> Result<&backends::posthog::Reader> {
        opened(self.handles.posthog.as_ref(), "PostHog")
    }
    /// For tools of the category sql.
    pub fn sql(&self) -> Result<&backends::postgres::Reader> {
        opened(self.handles.sql.as_ref(), "SQL")
    }
    /// For tools of the categories metadata, modules, reports, shell and system.
    pub fn container(&self) -> Result<&backends::docker::Reader> {
        opened(self.handles.container.as_ref(), "the container")
    }
    /// For tools of the categories files and modules.
    pub fn files(&self) -> Result<&backends::files::Reader> {
        opened(self.handles.files.as_ref(), "files")
    }
    /// For tools of the category system.
    pub fn backups(&self) -> Result<&backends::backup::Reader> {
        opened(self.handles.backups.as_ref(), "backups")
    }
    pub fn directory(&self) -> &Directory {
        &self.directory
    }
    /// When the call began.
    pub fn now(&self) -> kernel::Timestamp {
        self.now
    }
    /// For who waits for the call beside its façade.
    pub fn watch(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }
    /// Passes on the progress of work that another call began.
    pub fn report(&self, progress: Progress) {
        self.progress.send_replace(progress);
    }
    /// The newest wins and nothing waits: a façade samples it as often as its protocol likes.
    pub fn progress(&self, done: u64, total: u64) {
        self.progress.send_replace(Progress { done, total: Some(total), text: String::new() });
    }
}
fn opened<'a, T>(handle: Option<&'a std::result::Result<T, Refusal>>, what: &'static str) -> Result<&'a T> {
    handle
        .ok_or_else(|| Fault::failed(format!("a tool of another category asked for {what}")))?
        .as_ref()
        .map_err(|why| why.clone().into())
}

/// Same verbs, and the writing ones. Needs both proofs: the permit for writing and the committed audit row.
pub struct WriteCx {
    read: ReadCx,
    permit: WritePermit,
    odoo: std::result::Result<backends::odoo::Writer, Refusal>,
    journal: Option<(store::operations::Operations, kernel::CallId)>,
    call: kernel::CallId,
}
impl WriteCx {
    pub fn new(read: ReadCx, permit: WritePermit, row: &store::audit::Began) -> Self {
        let odoo = read.handles.odoo.as_ref().map(|r| backends::odoo::Writer::new(r.clone(), &permit)).map_err(Clone::clone);
        Self { read, permit, odoo, journal: None, call: row.id() }
    }
    /// With a journal: the call is an operation.
    #[must_use]
    pub fn journalled(mut self, operations: store::operations::Operations, id: kernel::CallId) -> Self {
        self.journal = Some((operations, id));
        self
    }
    /// Leaves what another process must know to go on, or to tell what became of it, when this one ends. Committed when it
    /// returns. Of an ordinary call nothing is kept.
    pub async fn checkpoint(&self, journal: &Value) -> Result<()> {
        match &self.journal {
            Some((operations, id)) => Ok(operations.checkpoint(*id, &journal.to_string()).await?),
            None => Ok(()),
        }
    }
    fn of_the_instance(&self) -> Result<()> {
        if self.permit.changes() == Changes::Instance {
            return Ok(());
        }
        Err(Fault::failed("a tool that declared another kind of change asked for the instance"))
    }
    pub fn sql(&self) -> Result<backends::postgres::Writer> {
        self.of_the_instance()?;
        Ok(backends::postgres::Writer::new(self.read.sql()?.clone(), &self.permit))
    }
    /// A backup is beside the instance; putting one back changes it. Neither is for a tool that changes ocore's own store alone.
    pub fn backups(&self) -> Result<backends::backup::Writer> {
        if self.permit.changes() == Changes::Ocore {
            return Err(Fault::failed("a tool that declared another kind of change asked for backups"));
        }
        Ok(backends::backup::Writer::new(self.read.backups()?.clone(), &self.permit))
    }
    /// The call's own id: no other has it.
    pub fn call_id(&self) -> kernel::CallId {
        self.call
    }
    pub fn files(&self) -> Result<backends::files::Writer> {
        self.of_the_instance()?;
        Ok(backends::files::Writer::new(self.read.files()?.clone(), &self.permit))
    }
    pub fn container(&self) -> Result<backends::docker::Writer> {
        self.of_the_instance()?;
        Ok(backends::docker::Writer::new(self.read.container()?.clone(), &self.permit))
    }
    pub fn odoo(&self) -> Result<&backends::odoo::Writer> {
        self.of_the_instance()?;
        self.odoo.as_ref().map_err(|why| why.clone().into())
    }
    pub fn knowledge(&self) -> Result<store::knowledge::KnowledgeWriter> {
        Ok(store::knowledge::KnowledgeWriter::new(self.read.knowledge()?.clone(), &self.permit))
    }
    pub fn ledger(&self) -> Result<store::ledger::LedgerWriter> {
        Ok(store::ledger::LedgerWriter::new(self.read.ledger()?.clone(), &self.permit))
    }
    pub fn impersonations(&self) -> Result<store::impersonations::ImpersonationsWriter> {
        self.of_the_instance()?;
        Ok(store::impersonations::ImpersonationsWriter::new(self.read.impersonations()?.clone(), &self.permit))
    }
    pub fn file_undo(&self) -> Result<store::file_undo::FileUndoWriter> {
        Ok(store::file_undo::FileUndoWriter::new(self.read.file_undo()?.clone(), &self.permit))
    }
    pub fn cooldowns(&self) -> Result<store::cooldowns::CooldownsWriter> {
        Ok(store::cooldowns::CooldownsWriter::new(self.read.cooldowns()?.clone(), &self.permit))
    }
}
impl Deref for WriteCx {
    type Target = ReadCx;
    fn deref(&self) -> &ReadCx {
        &self.read
    }
}

/// A read tool that writes does not compile:
/// ```compile_fail,E0599
/// # use tools::contract::*; #[derive(serde::Deserialize, schemars::JsonSchema)] struct T {} #[derive(serde::Serialize, schemars::JsonSchema)] struct A {} impl Answer for A {}
/// impl ReadTool for T { type Answer = A; async fn call(self, cx: &ReadCx) -> Result<A> { cx.odoo()?.unlink("m", &[1]).await?; Ok(A {}) } }
/// ```
/// nor a write tool without a plan:
/// ```compile_fail,E0046
/// # use tools::contract::*; #[derive(serde::Deserialize, schemars::JsonSchema)] struct T {} #[derive(serde::Serialize, schemars::JsonSchema)] struct A {} impl Answer for A {}
/// impl WriteTool for T { type Answer = A; async fn call(self, cx: &WriteCx) -> Result<A> { cx.odoo()?.unlink("m", &[1]).await?; Ok(A {}) } }
/// ```
/// nor a plan that writes:
/// ```compile_fail,E0599
/// # use tools::contract::*; #[derive(serde::Deserialize, schemars::JsonSchema)] struct T {} #[derive(serde::Serialize, schemars::JsonSchema)] struct A {} impl Answer for A {}
/// impl WriteTool for T { type Answer = A; async fn plan(&self, cx: &ReadCx) -> Result<Plan> { cx.odoo()?.unlink("m", &[1]).await?; Ok(Plan::default()) } async fn call(self, _: &WriteCx) -> Result<A> { Ok(A {}) } }
/// ```
/// nor a write tool registered as a read:
/// ```compile_fail,E0277
/// # use tools::contract::*; #[derive(serde::Deserialize, schemars::JsonSchema)] struct T {} #[derive(serde::Serialize, schemars::JsonSchema)] struct A {} impl Answer for A {}
/// # impl WriteTool for T { type Answer = A; async fn plan(&self, _: &ReadCx) -> Result<Plan> { Ok(Plan::default()) } async fn call(self, _: &WriteCx) -> Result<A> { Ok(A {}) } }
/// const TOOL: Tool = read::<T>("t");
/// ```
/// and this one does:
/// ```
/// # use tools::contract::*; #[derive(serde::Deserialize, schemars::JsonSchema)] struct T {} #[derive(serde::Serialize, schemars::JsonSchema)] struct A {} impl Answer for A {}
/// impl WriteTool for T { type Answer = A; async fn plan(&self, cx: &ReadCx) -> Result<Plan> { cx.odoo()?.names("m", &[1]).await?; Ok(Plan::default()) } async fn call(self, cx: &WriteCx) -> Result<A> { cx.odoo()?.unlink("m", &[1]).await?; Ok(A {}) } }
/// const TOOL: Tool = write::<T>("t");
/// ```
#[doc(hidden)]
pub struct DoesNotCompile;
