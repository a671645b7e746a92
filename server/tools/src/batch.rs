//! Records one after the other, each on its own: what one refusal leaves undone is told by index, and nothing that was done
//! is taken back. One at a time, because the order matters to Odoo (sequences, locks, computed fields).
use std::future::Future;

use kernel::{Code, Fault, Refusal, Result, refusal};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::contract::{Answer, ReadCx};

/// The most items of one batch.
pub const MAX: usize = 500;

/// What a method gave back, not parsed.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct Raw(pub Box<RawValue>);
impl JsonSchema for Raw {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Raw".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({})
    }
}

#[derive(Debug, Default, Serialize, JsonSchema)]
pub struct Done {
    /// Of the item in the call, from 0.
    pub index: usize,
    pub id: i64,
    /// The record that was copied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub copy_of: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<Raw>,
}
#[derive(Debug, Serialize, JsonSchema)]
pub struct NotDone {
    pub index: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<i64>,
    pub code: &'static str,
    pub message: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub next: String,
}
#[derive(Debug, Default, Serialize, JsonSchema)]
pub struct Summary {
    pub total: usize,
    pub done: usize,
    pub failed: usize,
    pub unknown: usize,
    pub not_started: usize,
}
/// The outcome of every item of a batch.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub struct Batch {
    pub model: String,
    pub summary: Summary,
    /// Items that may or may not have happened: look before you retry.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<NotDone>,
    pub failed: Vec<NotDone>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_started: Vec<usize>,
    pub done: Vec<Done>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}
impl Answer for Batch {
    const LIST: Option<&'static str> = Some("done");
    fn affected(&self) -> Option<u64> {
        Some(self.done.len() as u64)
    }
    fn unknown(&self) -> bool {
        !self.unknown.is_empty()
    }
}

/// Refuses an empty batch and one of more than [`MAX`] items; `what` is the argument's name.
pub fn size(what: &str, items: usize) -> Result<()> {
    if items == 0 {
        return Err(refusal(Code::InvalidArgument, format!("{what} is empty.")).next("Name at least one item.").into());
    }
    if items > MAX {
        return Err(refusal(Code::InvalidArgument, format!("{what} holds {items} items; a batch has at most {MAX}."))
            .next("Split it over several calls.")
            .into());
    }
    Ok(())
}

/// Whether the next item would fail in the same way, so that going on is pointless.
pub fn repeats(fault: &Fault) -> bool {
    matches!(
        fault.code(),
        Code::Unreachable
            | Code::PermissionDenied
            | Code::ModelDenied
            | Code::Busy
            | Code::Unauthorized
            | Code::NotConfigured
            | Code::WriteBlocked
            | Code::RateLimited
            | Code::Timeout
            | Code::Cancelled
    )
}

/// Runs `run` on every item in order; the number beside an item is its record's id, where it has one.
///
/// The answer is an error only when nothing at all was tried with success and the first item failed as all would.
pub async fn each<T, F, Fut>(cx: &ReadCx, model: &str, items: Vec<(Option<i64>, T)>, mut run: F) -> Result<Batch>
where
    T: Send,
    F: FnMut(T) -> Fut + Send,
    Fut: Future<Output = Result<Done>> + Send,
{
    let total = items.len();
    let mut batch = Batch { model: model.to_owned(), ..Batch::default() };
    let mut items = items.into_iter().enumerate();
    for (index, (id, item)) in items.by_ref() {
        if cx.cancel.is_cancelled() {
            if index == 0 {
                return Err(refusal(Code::Cancelled, "The call was cancelled before the first record.").into());
            }
            batch.not_started.push(index);
            batch.notes.push("The call was cancelled: the items of not_started were not tried.".to_owned());
            break;
        }
        match run(item).await {
            Ok(done) => batch.done.push(Done { index, ..done }),
            Err(fault) => {
                let stop = repeats(&fault);
                if stop && index == 0 {
                    return Err(fault);
                }
                let why = fault.public();
                let entry = NotDone {
                    index,
                    id,
                    code: why.code.as_str(),
                    message: why.message.into_owned(),
                    next: why.next.into_owned(),
                };
                if matches!(fault, Fault::Unknown { .. }) {
                    batch.unknown.push(entry);
                } else {
                    batch.failed.push(entry);
                }
                if stop {
                    batch.notes.push(
                        "Stopped, because the other items would fail in the same way: those of not_started were not tried."
                            .to_owned(),
                    );
                    break;
                }
            }
        }
        cx.progress(index as u64 + 1, total as u64);
    }
    batch.not_started.extend(items.map(|(index, _)| index));
    batch.summary = Summary {
        total,
        done: batch.done.len(),
        failed: batch.failed.len(),
        unknown: batch.unknown.len(),
        not_started: batch.not_started.len(),
    };
    Ok(batch)
}

/// What of a batch would be refused, for its plan.
#[derive(Debug, Default)]
pub struct Refused {
    first: Option<Refusal>,
    at: Vec<usize>,
}
impl Refused {
    /// # Errors
    /// What is no refusal.
    pub fn note(&mut self, index: usize, checked: Result<()>) -> Result<()> {
        match checked {
            Ok(()) => Ok(()),
            Err(Fault::Refused(refusal)) => {
                self.at.push(index);
                self.first.get_or_insert(refusal);
                Ok(())
            }
            Err(other) => Err(other),
        }
    }
    /// A warning when some would be refused.
    ///
    /// # Errors
    /// The first refusal when all would be.
    pub fn among(self, all: usize) -> Result<Option<String>> {
        let Some(first) = self.first else { return Ok(None) };
        if self.at.len() == all {
            return Err(first.into());
        }
        let shown: Vec<String> = self.at.iter().take(20).map(ToString::to_string).collect();
        let more = if self.at.len() > shown.len() { ", …" } else { "" };
        Ok(Some(format!(
            "{} of them would be refused (at {}{more}); the first: {}",
            self.at.len(),
            shown.join(", "),
            first.message
        )))
    }
}

#[cfg(test)]
mod tests {
    use std::{net::Ipv4Addr, sync::Arc};

    use kernel::{Actor, Facade, KeyId, OrgId, Permissions, Progress, Role, SessionId, Sources, SystemClock, Verified};
    use tokio::sync::watch;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::contract::{Directory, Handles};

    fn cx() -> (ReadCx, watch::Receiver<Progress>) {
        let (progress, seen) = watch::channel(Progress::default());
        let now = kernel::Clock::now(&SystemClock);
        (ReadCx::new(nobody(now), None, Handles::none(), Directory::default(), now, CancellationToken::new(), progress), seen)
    }
    #[expect(clippy::disallowed_methods, reason = "a test lets nobody in")]
    fn nobody(at: kernel::Timestamp) -> Arc<Actor> {
        let sources = Sources::system();
        Actor::verified(Verified {
            org: OrgId::new(&sources),
            org_slug: "acme".into(),
            key: KeyId::new(&sources),
            key_label: "test".into(),
            user: None,
            role: Role::Viewer,
            operator: false,
            permissions: Arc::new(Permissions::all()),
            own: None,
            grant: None,
            ceiling: Some(kernel::Access::Destructive),
            address: Ipv4Addr::LOCALHOST.into(),
            facade: Facade::Mcp,
            session: SessionId::new(&sources),
            at,
        })
    }
    fn items(n: i64) -> Vec<(Option<i64>, i64)> {
        (1..=n).map(|id| (Some(id), id)).collect()
    }
    #[expect(clippy::unnecessary_wraps, reason = "what `run` gives")]
    fn done(id: i64) -> Result<Done> {
        Ok(Done { id, ..Done::default() })
    }

    #[tokio::test]
    async fn a_refused_item_and_an_unknown_one_do_not_stop_the_others() {
        let (cx, seen) = cx();
        let batch = each(&cx, "m", items(5), |id| async move {
            match id {
                2 => Err(refusal(Code::OdooError, "no").next("do").into()),
                3 => Err(Fault::unknown("lost", "look")),
                id => done(id),
            }
        })
        .await
        .unwrap();
        assert_eq!(batch.done.iter().map(|d| (d.index, d.id)).collect::<Vec<_>>(), [(0, 1), (3, 4), (4, 5)]);
        assert_eq!((batch.failed[0].index, batch.failed[0].id, batch.failed[0].code), (1, Some(2), "odoo_error"));
        assert_eq!(
            (batch.unknown[0].index, batch.unknown[0].code, batch.unknown[0].next.as_str()),
            (2, "outcome_unknown", "look")
        );
        assert!(batch.not_started.is_empty());
        assert_eq!(seen.borrow().done, 5);
        let Summary { total, done, failed, unknown, not_started } = batch.summary;
        assert_eq!((total, done, failed, unknown, not_started), (5, 3, 1, 1, 0));
    }

    #[tokio::test]
    async fn what_would_repeat_stops_the_rest_and_is_an_error_when_nothing_was_done() {
        let (cx, _seen) = cx();
        let batch = each(&cx, "m", items(4), |id| async move {
            if id == 2 { Err(refusal(Code::Unreachable, "gone").into()) } else { done(id) }
        })
        .await
        .unwrap();
        assert_eq!((batch.done.len(), batch.failed.len(), batch.not_started.as_slice()), (1, 1, [2, 3].as_slice()));
        assert_eq!(batch.notes.len(), 1);
        let first = each(&cx, "m", items(4), |_| async { Err(refusal(Code::ModelDenied, "no").into()) }).await;
        assert_eq!(first.unwrap_err().code(), Code::ModelDenied);
    }

    #[tokio::test]
    async fn cancelling_takes_effect_between_records() {
        let (cx, _seen) = cx();
        let cancel = cx.cancel.clone();
        let batch = each(&cx, "m", items(4), |id| {
            if id == 2 {
                cancel.cancel();
            }
            async move { done(id) }
        })
        .await
        .unwrap();
        assert_eq!((batch.done.len(), batch.not_started.as_slice()), (2, [2, 3].as_slice()));
        assert_eq!(each(&cx, "m", items(1), done_later).await.unwrap_err().code(), Code::Cancelled);
    }
    async fn done_later(id: i64) -> Result<Done> {
        done(id)
    }

    #[test]
    fn sizes() {
        assert!(size("ids", 0).is_err() && size("ids", 501).is_err() && size("ids", 500).is_ok());
    }
}
