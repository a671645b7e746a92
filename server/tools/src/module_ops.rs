//! Installing, upgrading and removing modules by RPC: one at a time per instance, and the truth afterwards.
//!
//! Odoo does such an operation in many transactions within one request. What it answers is not what became of the modules: a
//! failure leaves part of the work done, an answer can get lost while the work goes on, and a module whose files are missing is
//! passed over in silence. So the states of all modules are read before and after, and what changed is told.
use std::{
    collections::{BTreeMap, BTreeSet},
    pin::pin,
    time::Duration,
};

use backends::{
    docker,
    odoo::{ModuleEnd, ModuleOperation, ModuleState, Writer, unknown_module},
};
use kernel::{CallId, Code, Fault, Progress, Refusal, Result, TimeDelta, Timestamp, parse_time, refusal};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::ledger::{Lease, LedgerWriter, Line, Outcome};
use tokio::time::{Instant, sleep, timeout};

use crate::{
    contract::{Answer, WriteCx},
    module_graph::Graph,
};

/// How long a module operation may take.
pub const SECONDS: u64 = 1_800;
/// Of that, what is left for reading what became of it.
const RESERVE: Duration = Duration::from_mins(2);
/// How often the lease on the instance's modules is renewed.
const BEAT: Duration = Duration::from_secs(15);
/// Scheduled actions are short as a rule: so often, and after so long each time, Odoo is asked again.
const TRIES: u32 = 4;
const PAUSE: Duration = Duration::from_secs(5);
/// Marks that nothing has moved for so long are nobody's any more.
const STALE: TimeDelta = TimeDelta::minutes(15);
/// After a lost answer: how often the states are read, how long Odoo may take until it marks what it begins, and how long nothing may
/// move before nobody waits any longer.
const LOOK: Duration = Duration::from_secs(3);
const QUIET: Duration = Duration::from_secs(30);
const STILL: Duration = Duration::from_mins(5);
/// One look at the states, and how often it is tried while Odoo loads its modules anew.
const READ: Duration = Duration::from_secs(30);
const READS: u32 = 8;
/// The most names that are spelled out in a sentence.
const NAMED: usize = 10;

#[derive(Debug, Serialize, JsonSchema)]
pub struct Done {
    pub operation: &'static str,
    pub modules: Vec<String>,
    /// Every module that is not as it was, with those that came along.
    pub changed: Vec<Changed>,
    pub seconds: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Changed {
    pub module: String,
    pub state: String,
    pub version: Option<String>,
    pub state_before: String,
    pub version_before: Option<String>,
}
impl Answer for Done {
    const LIST: Option<&'static str> = Some("changed");
    fn columns(&self) -> Vec<String> {
        ["module", "state_before", "state", "version_before", "version"].map(str::to_owned).into()
    }
    fn affected(&self) -> Option<u64> {
        Some(self.changed.len() as u64)
    }
}

/// What another process must know to tell how it ended.
#[derive(Debug, Serialize, Deserialize)]
struct Journal {
    call: CallId,
    started: Timestamp,
    before: Vec<Seen>,
    on_top: BTreeSet<String>,
}
/// A module as it was; of modules that were not installed only those that were asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Seen {
    name: String,
    state: String,
    version: Option<String>,
    /// When Odoo last wrote the row: a mark that was taken back leaves its time there.
    written: String,
}
type Before = BTreeMap<String, Seen>;

/// `3 modules: a, b, c`.
pub fn named<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.into_iter().collect();
    let shown = names.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
    match names.len() {
        n if n > NAMED => format!("{shown} and {} more", n - NAMED),
        _ => shown,
    }
}
/// `1 module`, `3 modules`.
pub fn counted(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// The names as they were asked for, each once.
pub fn asked(what: &str, names: &[String]) -> Result<Vec<String>> {
    if names.is_empty() {
        return Err(refusal(Code::InvalidArgument, format!("{what} is empty.")).next("Name at least one module.").into());
    }
    if names.len() > 50 {
        return Err(refusal(Code::InvalidArgument, format!("{what} names {} modules; one call takes 50.", names.len()))
            .next("Split the list, or upgrade base to upgrade everything.")
            .into());
    }
    let mut seen = BTreeSet::new();
    for name in names {
        kernel::name::identifier(what, name)?;
    }
    Ok(names.iter().filter(|name| seen.insert(name.as_str())).cloned().collect())
}

/// The modules of these names, if the operation makes sense for each of them.
pub fn fit<'a>(
    operation: ModuleOperation,
    names: &[String],
    states: &'a [ModuleState],
    odoo_stands_on: &[&str],
) -> std::result::Result<Vec<&'a ModuleState>, Refusal> {
    let mut found = Vec::with_capacity(names.len());
    for name in names {
        let Some(module) = states.iter().find(|m| m.name == *name) else {
            let refused = unknown_module(name, states);
            return Err(if name == "all" { refused.next("To upgrade everything, name base.") } else { refused });
        };
        let version = module.version.as_deref().map(|v| format!(" ({v})")).unwrap_or_default();
        let refused = |message: String, next: &'static str| Err(refusal(Code::Conflict, message).next(next));
        match (operation, module.state.as_str()) {
            (ModuleOperation::Install, "installed") => {
                return refused(
                    format!("{name} is installed already{version}; nothing was done."),
                    "upgrade_module applies what has changed on the disk.",
                );
            }
            (ModuleOperation::Install, "uninstallable") => {
                return refused(
                    format!(
                        "{name} cannot be installed: its manifest says so or is for another Odoo, or its files are not here (as those of Odoo Enterprise)."
                    ),
                    "get_addon_manifest and the module's manifest file tell more.",
                );
            }
            (ModuleOperation::Upgrade, state) if !module.present() => {
                return refused(
                    format!("{name} is {state}, so there is nothing to upgrade; nothing was done."),
                    "install_module installs it.",
                );
            }
            (ModuleOperation::Uninstall, _) if odoo_stands_on.contains(&name.as_str()) => {
                return refused(
                    format!("{name} is never removed: without it Odoo serves no request at all."),
                    "Name a module that stands on it.",
                );
            }
            (ModuleOperation::Uninstall, state) if !module.present() => {
                return refused(
                    format!("{name} is {state}, so there is nothing to remove; nothing was done."),
                    "list_modules with state installed names what is installed.",
                );
            }
            _ => found.push(module),
        }
    }
    Ok(found)
}

/// Modules that are marked, though no operation of ocore is under way.
#[derive(Debug, Default)]
pub struct Marks<'a> {
    pub modules: Vec<&'a ModuleState>,
    /// Since nothing moved.
    age: TimeDelta,
}
impl<'a> Marks<'a> {
    pub fn of(states: &'a [ModuleState], now: Timestamp) -> Self {
        let modules: Vec<&ModuleState> = states.iter().filter(|m| m.marked()).collect();
        let newest = modules.iter().filter_map(|m| time_of(&m.written)).max();
        Self { age: newest.map_or(TimeDelta::zero(), |at| now - at), modules }
    }
    /// Whether Odoo may be working on them.
    pub fn fresh(&self) -> bool {
        !self.modules.is_empty() && self.age < STALE
    }
    pub fn names(&self) -> String {
        named(self.modules.iter().map(|m| m.name.as_str()))
    }
    /// Why no other operation is begun now.
    pub fn busy(&self) -> Refusal {
        refusal(
            Code::Busy,
            format!(
                "Odoo is at work on modules, or was cut off {} ago: still marked are {} ({}).",
                counted(usize::try_from(self.age.num_minutes()).unwrap_or(0), "minute"),
                self.names(),
                self.modules.first().map(|m| m.state.as_str()).unwrap_or_default(),
            ),
        )
        .next(format!(
            "Wait and call again. If nothing works on them any more, ocore takes the marks away once they have not moved for {} minutes; \
             an administrator of Odoo can do it at once in Apps.",
            STALE.num_minutes()
        ))
    }
    /// What a plan says about old marks.
    pub fn warning(&self) -> Option<String> {
        (!self.modules.is_empty()).then(|| {
            if self.fresh() {
                self.busy().message.into_owned()
            } else {
                format!("An earlier operation was cut off and left {} marked; these marks are taken away first.", self.names())
            }
        })
    }
}
/// Odoo's `YYYY-MM-DD HH:MM:SS`.
fn time_of(written: &str) -> Option<Timestamp> {
    parse_time(&format!("{}Z", written.replacen(' ', "T", 1)))
}

/// Runs an operation from the claim of the instance's modules to its rows in the ledger.
pub async fn run(cx: &WriteCx, operation: ModuleOperation, names: Vec<String>) -> Result<Done> {
    let ledger = cx.ledger()?;
    let call = ledger.call();
    claim(&ledger, call, operation, &names).await?;
    let ended = alive(&ledger, call, Box::pin(begin(cx, &ledger, call, operation, &names))).await;
    // A lease that stays ends by itself.
    let _ = ledger.release(call).await;
    ended
}

/// Goes on where another process was ended: Odoo may have gone on without it, so there is only to tell what became of it.
pub async fn resume(cx: &WriteCx, operation: ModuleOperation, names: Vec<String>, journal: Value) -> Result<Done> {
    let Ok(journal) = serde_json::from_value::<Journal>(journal) else {
        return Err(refusal(Code::Cancelled, "ocore was stopped before anything was begun; nothing was changed.")
            .next("Call again.")
            .into());
    };
    let ledger = cx.ledger()?;
    if claim(&ledger, journal.call, operation, &names).await.is_err() {
        return Err(Fault::unknown(
            "ocore was stopped while Odoo worked on it, and another module operation has begun since.",
            "Wait until that one has ended, then look with list_modules.",
        ));
    }
    let before: Before = journal.before.iter().cloned().map(|seen| (seen.name.clone(), seen)).collect();
    let Journal { call, started, on_top, .. } = journal;
    let work = Work { cx, ledger: &ledger, call, operation, names: &names, before, on_top, started };
    let lost = ModuleEnd::Lost("ocore was stopped while Odoo worked on it.".to_owned());
    let ended = alive(&ledger, call, Box::pin(work.settle(lost, Vec::new()))).await;
    let _ = ledger.release(call).await;
    ended
}

async fn claim(ledger: &LedgerWriter, call: CallId, operation: ModuleOperation, names: &[String]) -> Result<()> {
    for _ in 0..2 {
        if ledger.claim(call, operation.as_str(), &named(names.iter().map(String::as_str))).await? {
            return Ok(());
        }
        // It may have ended in between.
        if let Some(lease) = ledger.at_work().await? {
            return Err(held(&lease).into());
        }
    }
    Err(refusal(Code::Busy, "Another module operation has just begun on this instance.").next("Call again in a moment.").into())
}
fn held(lease: &Lease) -> Refusal {
    refusal(
        Code::Busy,
        format!(
            "Another module operation runs on this instance: {} of {}, begun at {} UTC with the key \"{}\". Two at once would corrupt the database.",
            lease.operation,
            lease.modules,
            lease.started_at.format("%H:%M:%S"),
            lease.key_label
        ),
    )
    .next("Call again when it has ended; module_history tells.")
}
/// Renews the lease while the work goes on.
async fn alive<T>(ledger: &LedgerWriter, call: CallId, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    loop {
        match timeout(BEAT, &mut work).await {
            Ok(done) => return done,
            // When the store does not answer now, it may in time before the lease ends.
            Err(_) => drop(ledger.renew(call).await),
        }
    }
}

fn cancelled() -> Fault {
    refusal(Code::Cancelled, "The call was cancelled before anything was begun.").next("Call again if you still want it.").into()
}

async fn begin(cx: &WriteCx, ledger: &LedgerWriter, call: CallId, operation: ModuleOperation, names: &[String]) -> Result<Done> {
    let odoo = cx.odoo()?;
    let stands_on = odoo.modules_that_odoo_stands_on().await?;
    let mut states = odoo.module_states().await?;
    let mut notes = Vec::new();
    let marks = Marks::of(&states, ledger.now());
    if marks.fresh() {
        return Err(marks.busy().into());
    }
    if !marks.modules.is_empty() {
        notes.push(format!("An earlier operation had left {} marked; these marks were taken away first.", marks.names()));
        let marked: Vec<ModuleState> = marks.modules.into_iter().cloned().collect();
        odoo.clear_module_marks(&marked).await?;
        states = odoo.module_states().await?;
    }
    // Odoo knows what it found when it last looked.
    let stale = |m: &ModuleState| operation == ModuleOperation::Install && m.state == "uninstallable";
    if names.iter().any(|name| states.iter().find(|m| m.name == *name).is_none_or(stale)) {
        odoo.scan_modules().await?;
        states = odoo.module_states().await?;
    }
    let ids: Vec<i64> = fit(operation, names, &states, stands_on)?.into_iter().map(|m| m.id).collect();
    if cx.cancel.is_cancelled() {
        return Err(cancelled());
    }
    // An upgrade leaves no trace on a module whose version stays: which ones it takes along is known before or not at all.
    let on_top: BTreeSet<String> = if operation == ModuleOperation::Upgrade {
        let links = odoo.module_links().await?;
        let asked: Vec<&str> = names.iter().map(String::as_str).collect();
        Graph::new(&states, &links).upgraded(&asked).into_iter().map(str::to_owned).collect()
    } else {
        BTreeSet::new()
    };
    let before: Before = states
        .into_iter()
        .filter(|m| m.present() || names.contains(&m.name))
        .map(|m| (m.name.clone(), Seen { name: m.name, state: m.state, version: m.version, written: m.written }))
        .collect();
    let started = ledger.now();
    let work = Work { cx, ledger, call, operation, names, before, on_top, started };
    ledger.begin(call, operation.as_str(), &work.begun(), started).await?;
    let before = work.before.values().cloned().collect();
    let journal = Journal { call, started, before, on_top: work.on_top.clone() };
    let journal = serde_json::to_value(&journal).map_err(|_| Fault::failed("the journal of a module operation"))?;
    let sent = match cx.checkpoint(&journal).await {
        Ok(()) => match WriteCx::container(cx) {
            Ok(container) => work.operate_in_container(&container, &mut notes).await,
            Err(_) => work.operate(odoo, &ids).await,
        },
        Err(fault) => Err(fault),
    };
    let end = match sent {
        Ok(end) => end,
        Err(fault) => {
            // Nothing was begun, so there is nothing to remember.
            ledger.forget(call).await?;
            return Err(fault);
        }
    };
    work.settle(end, notes).await
}

/// What became of one of the modules that were asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Done,
    NotDone,
    Unknown,
}

struct Work<'a> {
    cx: &'a WriteCx,
    ledger: &'a LedgerWriter,
    call: CallId,
    operation: ModuleOperation,
    names: &'a [String],
    before: Before,
    /// The modules that an upgrade takes along, and those that were asked for.
    on_top: BTreeSet<String>,
    started: Timestamp,
}
impl Work<'_> {
    fn verb(&self) -> &'static str {
        match self.operation {
            ModuleOperation::Install => "install",
            ModuleOperation::Upgrade => "upgrade",
            ModuleOperation::Uninstall => "remove",
        }
    }
    fn all(&self) -> String {
        named(self.names.iter().map(String::as_str))
    }
    fn say(&self, text: String) {
        self.cx.report(Progress { done: 0, total: None, text });
    }

    /// Sends the request; tries again while scheduled actions keep Odoo from beginning.
    async fn operate(&self, odoo: &Writer, ids: &[i64]) -> Result<ModuleEnd> {
        let until = odoo.deadline().checked_sub(RESERVE).unwrap_or_else(|| odoo.deadline());
        let busy = |message: &'static str, next: &'static str| Err(refusal(Code::Busy, message).next(next).into());
        for attempt in 1.. {
            self.say(format!("Odoo works on it: {} {}", self.verb(), self.all()));
            match odoo.operate_modules(self.operation, ids, until).await? {
                ModuleEnd::ScheduledAction if attempt < TRIES => {
                    self.say("waiting for a scheduled action of Odoo to end".to_owned());
                    tokio::select! {
                        () = sleep(PAUSE) => {}
                        () = self.cx.cancel.cancelled() => return Err(cancelled()),
                    }
                }
                ModuleEnd::ScheduledAction => {
                    return busy(
                        "Odoo runs a scheduled action, and changes no modules meanwhile; nothing was begun.",
                        "Call again in a minute. list_scheduled_actions tells what runs often; toggle_scheduled_action can pause it.",
                    );
                }
                ModuleEnd::OtherOperation => {
                    return busy(
                        "Odoo works on modules already, not by ocore; nothing was begun.",
                        "Wait until that has ended: list_modules with state \"to install\" or \"to upgrade\" shows what it is at.",
                    );
                }
                end => return Ok(end),
            }
        }
        Err(Fault::failed("the attempts of a module operation"))
    }

    /// Has Odoo's own command line do it in the container: no limit of a worker ends it, and changed code is loaded.
    async fn operate_in_container(&self, container: &docker::Writer, notes: &mut Vec<String>) -> Result<ModuleEnd> {
        let operation = match self.operation {
            ModuleOperation::Install => docker::Operation::Install,
            ModuleOperation::Upgrade => docker::Operation::Upgrade,
            ModuleOperation::Uninstall => docker::Operation::Uninstall,
        };
        self.say(format!("Odoo's command line works on it: {} {}", self.verb(), self.all()));
        let within = Duration::from_secs(SECONDS).saturating_sub(RESERVE);
        let mut progress = |p: docker::Progress| {
            let text = format!("loading {}", p.module);
            self.cx.report(Progress { done: p.number.into(), total: Some(p.of.into()), text });
        };
        let report = match container.modules(operation, self.names, within, &mut progress).await {
            Ok(report) => report,
            Err(Fault::Unknown { message, .. }) => return Ok(ModuleEnd::Lost(message.into_owned())),
            Err(fault) => return Err(fault),
        };
        match &report.restarted {
            Some(Ok(())) => notes.push(
                "Code of these modules was newer than the server: the container was restarted and serves again.".to_owned(),
            ),
            Some(Err(why)) => notes.push(format!(
                "The container was restarted, because code was newer than the server, and does not serve again: {why}"
            )),
            None if report.restart_needed => {
                notes.push("Code of these modules is newer than the server: restart the container.".to_owned());
            }
            None => {}
        }
        for warning in report.warnings.iter().take(5) {
            notes.push(format!("Odoo warned: {}", kernel::redact::text(&warning.message).chars().take(300).collect::<String>()));
        }
        Ok(match report.failure {
            None => ModuleEnd::Answered,
            Some(failure) => {
                let of = failure.module.map(|m| format!("{m}: ")).unwrap_or_default();
                ModuleEnd::Failed(kernel::redact::text(&format!("{of}{}", failure.message)))
            }
        })
    }

    /// Finds out what became of it, writes it into the ledger, and tells.
    async fn settle(&self, end: ModuleEnd, mut notes: Vec<String>) -> Result<Done> {
        let odoo = self.cx.odoo()?;
        let (seen, begun) = match &end {
            ModuleEnd::Lost(_) => self.watch(odoo).await,
            _ => (self.look(odoo).await, true),
        };
        let Some(mut after) = seen else { return Err(self.unknown(&end, None, &[]).await) };
        let mut left: Vec<ModuleState> = self.ours(&after);
        // Odoo has answered, so nothing works on them: it passed them over.
        let mut passed_over = Vec::new();
        if !left.is_empty() && !matches!(end, ModuleEnd::Lost(_)) {
            passed_over = left.iter().map(|m| m.name.clone()).collect();
            if odoo.clear_module_marks(&left).await.is_ok()
                && let Some(cleared) = self.look(odoo).await
            {
                after = cleared;
                left = self.ours(&after);
            }
        }
        let verdicts: Vec<(&String, Verdict)> = self.names.iter().map(|name| (name, self.verdict(name, &end, &after))).collect();
        if verdicts.iter().any(|(_, v)| *v == Verdict::Unknown || (*v == Verdict::NotDone && !begun)) {
            return Err(self.unknown(&end, Some(&after), &verdicts).await);
        }
        let failed: Vec<&str> = verdicts.iter().filter(|(_, v)| *v == Verdict::NotDone).map(|(n, _)| n.as_str()).collect();
        let why = match &end {
            ModuleEnd::Failed(reason) => reason.clone(),
            ModuleEnd::Lost(how) => format!("{how} Odoo gave up the work: its log tells why."),
            _ if !passed_over.is_empty() => format!(
                "Odoo passed over {}: the files of it, or of a module that it needs, are not in Odoo's addons paths.",
                named(passed_over.iter().map(String::as_str))
            ),
            _ => "Odoo answered without an error.".to_owned(),
        };
        let lines = self.lines(&after, &verdicts);
        if self.ledger.finish(self.call, self.operation.as_str(), &lines, &why, self.started).await.is_err() {
            notes.push("What was done could not be written into module_history.".to_owned());
        }
        let changed = self.changed(&after, failed.is_empty());
        if !failed.is_empty() {
            return Err(self.refused(&failed, &why, &changed, &left, &after).into());
        }
        match &end {
            ModuleEnd::Failed(reason) => notes.push(format!("Odoo reported an error all the same: {reason}")),
            ModuleEnd::Lost(how) => notes.push(format!("{how} The states of the modules say that Odoo went on and did it.")),
            _ => {}
        }
        if !left.is_empty() {
            notes.push(left_marked(&left));
        }
        if self.operation == ModuleOperation::Upgrade {
            if WriteCx::container(self.cx).is_err() {
                notes.push(
                    "Data, views and tables are those of the files now. Python code that Odoo had loaded stays as it was until the server is restarted."
                        .to_owned(),
                );
            }
            let same = |name: &&String| {
                let version = |m: &ModuleState| m.version.clone();
                after.iter().find(|m| m.name == **name).and_then(version)
                    == self.before.get(*name).and_then(|m| m.version.clone())
            };
            let same: Vec<&str> = self.names.iter().filter(same).map(String::as_str).collect();
            if !same.is_empty() {
                notes.push(format!("The files have the version that was installed: {}. They were applied again.", named(same)));
            }
        }
        let seconds = u64::try_from((self.ledger.now() - self.started).num_seconds()).unwrap_or(0);
        Ok(Done { operation: self.operation.as_str(), modules: self.names.to_vec(), changed, seconds, notes })
    }

    /// The states, as soon as Odoo tells them: it may be loading its modules anew.
    async fn look(&self, odoo: &Writer) -> Option<Vec<ModuleState>> {
        for attempt in 0..READS {
            if attempt > 0 {
                sleep(PAUSE).await;
            }
            match timeout(READ, odoo.module_states()).await {
                Ok(Ok(states)) => return Some(states),
                Ok(Err(fault)) if hopeless(&fault) => return None,
                _ => {}
            }
        }
        None
    }

    /// Follows the states after a lost answer, until Odoo has ended one way or the other or nothing moves any more. Tells whether Odoo
    /// was seen at work.
    async fn watch(&self, odoo: &Writer) -> (Option<Vec<ModuleState>>, bool) {
        self.say("the answer of Odoo was lost; following the states of the modules".to_owned());
        let began = Instant::now();
        let until = odoo.deadline().checked_sub(READ).unwrap_or_else(|| odoo.deadline());
        let (mut newest, mut moved, mut begun): (Option<Vec<ModuleState>>, Instant, bool) = (None, began, false);
        while Instant::now() < until {
            match timeout(READ, odoo.module_states()).await {
                Ok(Ok(states)) => {
                    let left = !self.ours(&states).is_empty();
                    begun |= left || self.touched(&states);
                    if newest.as_ref() != Some(&states) {
                        moved = Instant::now();
                    }
                    let reached = self.names.iter().all(|name| self.reached(name, &states));
                    let over = !left && (reached || begun || began.elapsed() > QUIET);
                    newest = Some(states);
                    if over {
                        break;
                    }
                }
                Ok(Err(fault)) if hopeless(&fault) => break,
                _ => {}
            }
            if moved.elapsed() > STILL {
                break;
            }
            sleep(LOOK).await;
        }
        (newest, begun)
    }

    /// Whether Odoo has written to a module that was asked for.
    fn touched(&self, states: &[ModuleState]) -> bool {
        let since = |m: &ModuleState| self.before.get(&m.name).is_some_and(|b| b.written != m.written);
        states.iter().any(|m| self.names.contains(&m.name) && since(m))
    }
    /// What is marked now and was not before.
    fn ours(&self, states: &[ModuleState]) -> Vec<ModuleState> {
        let before = |m: &ModuleState| self.before.get(&m.name).is_some_and(|b| b.state == m.state);
        states.iter().filter(|m| m.marked() && !before(m)).cloned().collect()
    }
    /// Whether a module's state alone says that it was done.
    fn reached(&self, name: &str, states: &[ModuleState]) -> bool {
        let now = states.iter().find(|m| m.name == name);
        match self.operation {
            ModuleOperation::Install => now.is_some_and(|m| m.state == "installed"),
            ModuleOperation::Uninstall => now.is_none_or(|m| !m.present() && !m.marked()),
            ModuleOperation::Upgrade => {
                now.is_some_and(|m| m.state == "installed" && self.before.get(name).is_some_and(|b| b.version != m.version))
            }
        }
    }
    fn verdict(&self, name: &str, end: &ModuleEnd, after: &[ModuleState]) -> Verdict {
        if self.reached(name, after) {
            return Verdict::Done;
        }
        let Some(now) = after.iter().find(|m| m.name == name) else { return Verdict::NotDone };
        match (end, self.operation) {
            // Odoo may still work on it, or have been ended half way.
            (ModuleEnd::Lost(_), _) if now.marked() => Verdict::Unknown,
            (ModuleEnd::Answered, ModuleOperation::Upgrade) if now.state == "installed" => Verdict::Done,
            // The state is the same before, after an upgrade and after one that was given up.
            (ModuleEnd::Lost(_), ModuleOperation::Upgrade) if now.state == "installed" => Verdict::Unknown,
            _ => Verdict::NotDone,
        }
    }

    /// The rows of what is about to be done.
    fn begun(&self) -> Vec<Line> {
        let line = |seen: &Seen| Line {
            module: seen.name.clone(),
            asked: true,
            state_before: Some(seen.state.clone()),
            state_after: None,
            version_before: seen.version.clone(),
            version_after: None,
            outcome: Outcome::Running,
        };
        self.names.iter().filter_map(|name| self.before.get(name)).map(line).collect()
    }
    /// The rows of what was done: the modules that were asked for, and every other that is not as it was.
    fn lines(&self, after: &[ModuleState], verdicts: &[(&String, Verdict)]) -> Vec<Line> {
        let well = verdicts.iter().all(|(_, verdict)| *verdict == Verdict::Done);
        let mut lines = Vec::new();
        for now in after {
            let verdict = verdicts.iter().find(|(name, _)| **name == now.name).map(|(_, verdict)| *verdict);
            if verdict.is_none() && !self.differs(now, well) {
                continue;
            }
            let before = self.before.get(&now.name);
            let outcome = match verdict {
                Some(Verdict::NotDone) => Outcome::Failed,
                Some(Verdict::Unknown) => Outcome::Unknown,
                None if now.marked() => Outcome::Unknown,
                Some(Verdict::Done) | None => Outcome::Ok,
            };
            lines.push(Line {
                module: now.name.clone(),
                asked: verdict.is_some(),
                state_before: Some(before.map_or_else(|| "uninstalled".to_owned(), |b| b.state.clone())),
                state_after: Some(now.state.clone()),
                version_before: before.and_then(|b| b.version.clone()),
                version_after: now.version.clone(),
                outcome,
            });
        }
        lines
    }
    /// An upgrade that went well was one of all that it takes along, whatever their versions.
    fn differs(&self, now: &ModuleState, well: bool) -> bool {
        match self.before.get(&now.name) {
            None => now.present() || now.marked(),
            Some(b) => b.state != now.state || b.version != now.version || (well && self.on_top.contains(&now.name)),
        }
    }
    fn changed(&self, after: &[ModuleState], well: bool) -> Vec<Changed> {
        let mut changed: Vec<Changed> = after
            .iter()
            .filter(|now| self.differs(now, well))
            .map(|now| {
                let before = self.before.get(&now.name);
                Changed {
                    module: now.name.clone(),
                    state: now.state.clone(),
                    version: now.version.clone(),
                    state_before: before.map_or_else(|| "uninstalled".to_owned(), |b| b.state.clone()),
                    version_before: before.and_then(|b| b.version.clone()),
                }
            })
            .collect();
        changed.sort_by_key(|c| !self.names.contains(&c.module));
        changed
    }

    /// Odoo did not do it: why, how the modules stand now, and what to do.
    fn refused(&self, failed: &[&str], why: &str, changed: &[Changed], left: &[ModuleState], after: &[ModuleState]) -> Refusal {
        let mut said = vec![format!("Odoo did not {} {}: {}", self.verb(), named(failed.iter().copied()), sentence(why))];
        for name in failed.iter().take(NAMED) {
            let state = after.iter().find(|m| m.name == **name).map_or("unknown to Odoo", |m| m.state.as_str());
            said.push(format!("{name} is {state}."));
        }
        let others: Vec<&str> = changed
            .iter()
            .filter(|c| !failed.contains(&c.module.as_str()) && (c.state != c.state_before || c.version != c.version_before))
            .map(|c| c.module.as_str())
            .collect();
        if !others.is_empty() {
            said.push(format!("What was done before stays: {}.", named(others)));
        }
        said.push(if left.is_empty() { "No module is left marked.".to_owned() } else { left_marked(left) });
        refusal(Code::OdooError, said.join(" ")).next(advice(why))
    }

    /// Nobody can tell. The ledger says so too.
    async fn unknown(&self, end: &ModuleEnd, after: Option<&[ModuleState]>, verdicts: &[(&String, Verdict)]) -> Fault {
        let how = match end {
            ModuleEnd::Lost(how) => how.clone(),
            ModuleEnd::Failed(reason) => format!("Odoo answered with an error: {}", sentence(reason)),
            _ => "Odoo answered, but its modules cannot be read.".to_owned(),
        };
        // What is as it was may still be done: there was no sign that Odoo began.
        let open = |verdict: Verdict| if verdict == Verdict::Done { verdict } else { Verdict::Unknown };
        let verdicts: Vec<(&String, Verdict)> = verdicts.iter().map(|(name, verdict)| (*name, open(*verdict))).collect();
        let lines = match after {
            Some(after) => self.lines(after, &verdicts),
            None => self.begun().into_iter().map(|line| Line { outcome: Outcome::Unknown, ..line }).collect(),
        };
        let recorded = self.ledger.finish(self.call, self.operation.as_str(), &lines, &how, self.started).await;
        let left = after.map(|after| self.ours(after)).unwrap_or_default();
        let mut said = vec![format!("Whether Odoo did {} {} is not known. {how}", self.verb(), self.all())];
        let over = after.is_some() && left.is_empty();
        let check = if over && self.operation == ModuleOperation::Upgrade {
            said.push("Odoo has ended it, and the versions are as they were: from outside, an upgrade and one that was given up look alike.".to_owned());
            "An upgrade may be repeated: call again. odoo_logs tells how the first one ended.".to_owned()
        } else {
            let first = self.names.first().map_or("", String::as_str);
            format!("Look with list_modules (search {first}) and odoo_logs before you call again.")
        };
        for now in after.into_iter().flatten().filter(|m| self.names.contains(&m.name)).take(NAMED) {
            said.push(format!("{} is {} now.", now.name, now.state));
        }
        if !left.is_empty() {
            said.push(left_marked(&left));
        }
        if recorded.is_err() {
            said.push("It could not be written into module_history either.".to_owned());
        }
        Fault::unknown(said.join(" "), check)
    }
}

fn left_marked(left: &[ModuleState]) -> String {
    format!(
        "Still marked: {} ({}). While a module is marked Odoo runs no scheduled actions; ocore takes the marks away at the next operation, \
         once they have not moved for {} minutes.",
        named(left.iter().map(|m| m.name.as_str())),
        left.first().map(|m| m.state.as_str()).unwrap_or_default(),
        STALE.num_minutes()
    )
}
fn sentence(text: &str) -> String {
    let text = text.trim();
    if text.ends_with(['.', '!', '?']) { text.to_owned() } else { format!("{text}.") }
}
/// What helps against what Odoo said.
fn advice(why: &str) -> &'static str {
    let why = why.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|w| why.contains(w));
    if says(&["external dependency", "no module named"]) {
        "Install what is missing where Odoo runs, restart Odoo, then call again."
    } else if says(&["lock timeout", "lock_timeout", "deadlock", "could not obtain lock", "concurrent"]) {
        "Something else holds a table that the module changes (a long report, an import, a backup): call again when it has ended."
    } else if says(&["time limit", "cpu time", "gave up the work"]) {
        "odoo_logs tells what ended it; mostly limit_time_real or limit_time_cpu of Odoo's configuration, which the operator raises."
    } else if says(&["passed over", "not available in your system"]) {
        "Put the module's files, and those of what it needs, into Odoo's addons paths, then call again."
    } else {
        "Mend what Odoo names, then call again; odoo_logs has the details. The instance goes on with the modules that it has."
    }
}
/// Trying again would fail in the same way.
fn hopeless(fault: &Fault) -> bool {
    matches!(fault.code(), Code::NotConfigured | Code::ModelDenied | Code::PermissionDenied | Code::Internal)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module(name: &str, state: &str, written: &str) -> ModuleState {
        ModuleState {
            id: 1,
            name: name.to_owned(),
            title: name.to_owned(),
            state: state.to_owned(),
            version: (state == "installed").then(|| "19.0.1.0".to_owned()),
            auto_install: false,
            written: written.to_owned(),
        }
    }
    fn modules() -> Vec<ModuleState> {
        [
            ("base", "installed"),
            ("crm", "installed"),
            ("link_tracker", "uninstalled"),
            ("studio", "uninstallable"),
            ("half", "to upgrade"),
        ]
        .map(|(name, state)| module(name, state, "2026-11-21 11:50:00"))
        .into()
    }

    #[test]
    fn an_operation_must_make_sense_for_each_module() {
        use ModuleOperation::{Install, Uninstall, Upgrade};
        let all = modules();
        let fits = |operation, names: &[&str]| {
            let names: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
            fit(operation, &names, &all, &["base", "web"]).map(|found| found.len()).map_err(|refused| refused.code)
        };
        assert_eq!(fits(Install, &["link_tracker"]), Ok(1));
        assert_eq!(fits(Upgrade, &["crm", "base"]), Ok(2));
        assert_eq!(fits(Uninstall, &["crm"]), Ok(1));
        for (operation, name) in [
            (Install, "crm"),
            (Install, "studio"),
            (Upgrade, "link_tracker"),
            (Upgrade, "studio"),
            (Uninstall, "link_tracker"),
            (Uninstall, "base"),
        ] {
            assert_eq!(fits(operation, &[name]), Err(Code::Conflict), "{operation:?} {name}");
        }
        assert_eq!(fits(Upgrade, &["crm", "nowhere"]), Err(Code::NotFound), "one that does not fit is enough");
        let refused = fit(Install, &["link_trackr".to_owned()], &all, &[]).unwrap_err();
        assert!(refused.next.contains("link_tracker"), "{refused:?}");
        assert!(fit(Upgrade, &["all".to_owned()], &all, &[]).unwrap_err().next.contains("base"));
    }

    #[test]
    fn marks_are_somebodys_until_they_have_not_moved_for_long() {
        let at = |text: &str| parse_time(text).unwrap();
        let all = modules();
        let marks = Marks::of(&all, at("2026-11-21T11:52:30Z"));
        assert!(marks.fresh());
        let busy = marks.busy();
        assert_eq!(busy.code, Code::Busy);
        assert!(busy.message.contains("2 minutes ago") && busy.message.contains("half (to upgrade)"), "{busy:?}");
        let marks = Marks::of(&all, at("2026-11-21T12:05:00Z"));
        assert!(!marks.fresh() && marks.warning().unwrap().contains("taken away first"));
        let mut newer = modules();
        newer.push(module("other", "to install", "2026-11-21 12:04:00"));
        assert!(Marks::of(&newer, at("2026-11-21T12:05:00Z")).fresh(), "the newest one counts");
        newer.push(module("odd", "to install", "never"));
        assert!(Marks::of(&newer, at("2026-11-21T12:05:00Z")).fresh());
        let none = [module("crm", "installed", "2026-11-21 12:04:00")];
        assert!(Marks::of(&none, at("2026-11-21T12:05:00Z")).warning().is_none());
    }

    #[test]
    fn names_are_checked_counted_and_cut() {
        let names = |names: &[&str]| asked("modules", &names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>());
        assert_eq!(names(&["sale", "crm", "sale"]).unwrap(), ["sale", "crm"]);
        for bad in [&[][..], &["a b"], &[""], &["sale;"], &["x"; 51]] {
            assert_eq!(names(bad).unwrap_err().code(), Code::InvalidArgument, "{bad:?}");
        }
        assert_eq!(named(["a", "b"]), "a, b");
        assert_eq!(named(vec!["m"; 13]), format!("{} and 3 more", ["m"; 10].join(", ")));
        assert_eq!((counted(1, "view"), counted(0, "view")), ("1 view".to_owned(), "0 views".to_owned()));
    }

    #[test]
    fn advice_goes_by_what_odoo_said() {
        for (said, advised) in [
            ("Unable to install module \"x\" because an external dependency is not met: foo", "restart Odoo"),
            ("No module named 'foo'", "restart Odoo"),
            ("canceling statement due to lock timeout", "holds a table"),
            ("CPU time limit exceeded.", "limit_time_cpu"),
            ("while parsing shop/data.xml:1", "Mend what Odoo names"),
        ] {
            assert!(advice(said).contains(advised), "{said}: {}", advice(said));
        }
    }
}
