//! What a tool is. Access is the trait: the examples at the bottom must not compile.
use std::{future::Future, ops::Deref, sync::Arc};

use futures_util::future::BoxFuture;
pub use kernel::{Access, Category, Changes, Code, Facts, Fault, Plan, Progress, Refusal, Result, refusal};
use kernel::{Instance, Server, WritePermit};
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

// ---- erased, for dispatch

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
}
pub trait PreparedRead: Send {
    fn run(self: Box<Self>, cx: &ReadCx) -> BoxFuture<'_, Result<Reply>>;
}
pub trait PreparedWrite: Send + Sync {
    fn needs_confirm(&self) -> bool;
    fn preview<'a>(&'a self, cx: &'a ReadCx) -> BoxFuture<'a, Result<Plan>>;
    fn run(self: Box<Self>, cx: &WriteCx) -> BoxFuture<'_, Result<Reply>>;
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

/// The reading side of a call. Owned, so that the run can outlive the connection that asked for it.
pub struct ReadCx {
    instance: Option<Arc<Instance>>,
    odoo: Option<backends::odoo::Reader>,
    /// Why there is no reader, said when a tool asks for one.
    no_odoo: Option<Refusal>,
    directory: Directory,
    now: kernel::Timestamp,
    pub cancel: CancellationToken,
    progress: watch::Sender<Progress>,
}
impl ReadCx {
    pub fn new(
        instance: Option<Arc<Instance>>,
        odoo: std::result::Result<backends::odoo::Reader, Refusal>,
        directory: Directory,
        now: kernel::Timestamp,
        cancel: CancellationToken,
        progress: watch::Sender<Progress>,
    ) -> Self {
        let (odoo, no_odoo) = match odoo {
            Ok(reader) => (Some(reader), None),
            Err(why) => (None, Some(why)),
        };
        Self { instance, odoo, no_odoo, directory, now, cancel, progress }
    }
    /// The instance that the call names.
    pub fn instance(&self) -> Result<&Arc<Instance>> {
        self.instance.as_ref().ok_or_else(|| Fault::failed("a platform tool asked for an instance"))
    }
    pub fn odoo(&self) -> Result<&backends::odoo::Reader> {
        self.odoo.as_ref().ok_or_else(|| self.no_rpc().into())
    }
    fn no_rpc(&self) -> Refusal {
        self.no_odoo.clone().unwrap_or_else(|| {
            refusal(Code::NotConfigured, "This instance has no RPC connection.")
                .next("An administrator adds an Odoo login to the instance.")
        })
    }
    pub fn directory(&self) -> &Directory {
        &self.directory
    }
    /// When the call began.
    pub fn now(&self) -> kernel::Timestamp {
        self.now
    }
    /// The newest wins and nothing waits: a façade samples it as often as its protocol likes.
    pub fn progress(&self, done: u64, total: u64) {
        self.progress.send_replace(Progress { done, total: Some(total), text: String::new() });
    }
}
/// Same verbs, and the writing ones. Needs both proofs: the permit for writing and the committed audit row.
pub struct WriteCx {
    read: ReadCx,
    permit: WritePermit,
    odoo: Option<backends::odoo::Writer>,
}
impl WriteCx {
    pub fn new(read: ReadCx, permit: WritePermit, _row: &store::audit::Began) -> Self {
        let odoo = read.odoo.clone().map(|r| backends::odoo::Writer::new(r, &permit));
        Self { read, permit, odoo }
    }
    pub fn odoo(&self) -> Result<&backends::odoo::Writer> {
        if self.permit.changes() != Changes::Instance {
            return Err(Fault::failed("a tool that declared another kind of change asked for the instance"));
        }
        self.odoo.as_ref().ok_or_else(|| self.read.no_rpc().into())
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
