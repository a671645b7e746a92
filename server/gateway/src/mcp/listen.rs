//! `subscriptions/listen`: the stream that only waits (2026-07-28, Patterns section "Subscriptions").
//!
//! Our own, because thousands of clients hold one open: it is the state of one future, without a task or a channel.
use std::{
    convert::Infallible,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::Arc,
};

use axum::{body::Body, http::StatusCode, response::Response};
use bytes::Bytes;
use dispatch::{Dispatch, View};
use futures_util::stream;
use kernel::{Actor, Code, refusal};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

use super::{
    Asking, SERVER_INFO,
    call::{COMMENT, KEEP_ALIVE, Watch},
    wire,
};
use crate::{Gateway, answer, conformance, shares::Taken, streams};

/// What a client wants to hear of; other kinds are left out of the acknowledgement.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Filter {
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    tools_list_changed: bool,
    /// For the conformance fixture; the product's prompts do not change.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    prompts_list_changed: bool,
}

struct Listening {
    dispatch: Arc<Dispatch>,
    view: View,
    watch: Watch,
    /// The request's id as raw JSON: the subscription's, too.
    id: Box<str>,
    filter: Filter,
    changes: Option<watch::Receiver<u64>>,
    /// The list as the client knows it.
    seen: u64,
    next_look: Instant,
    acknowledged: bool,
    done: bool,
    fixture: conformance::Nudges,
    _open: Taken,
}

impl Gateway {
    pub(super) fn listen(&self, asking: &Asking<'_>, wanted: Option<&RawValue>, accepts_stream: bool, watch: Watch) -> Response {
        let Ok(mut filter) = wanted.map_or_else(|| Ok(Filter::default()), |raw| serde_json::from_str::<Filter>(raw.get())) else {
            let message = "notifications must be an object of kinds of notifications.";
            return answer::json(StatusCode::BAD_REQUEST, wire::error(Some(asking.id), wire::INVALID_PARAMS, message, None));
        };
        filter.prompts_list_changed &= conformance::CAPABILITIES.is_some();
        if !accepts_stream {
            return answer::refused(
                StatusCode::NOT_ACCEPTABLE,
                &refusal(Code::InvalidArgument, "A subscription is answered with text/event-stream.")
                    .next("Send \"Accept: application/json, text/event-stream\"."),
            );
        }
        let open = match self.streams.open(asking.actor.org()) {
            Ok(open) => open,
            Err(used_up) => return streams::refused(used_up),
        };
        // Marked as seen before the list is read: a change in between is told rather than missed.
        let changes = self.mcp.changes.clone().map(|mut changes| {
            changes.mark_unchanged();
            changes
        });
        let listening = Listening {
            dispatch: Arc::clone(&self.dispatch),
            view: asking.view.clone(),
            watch,
            id: asking.id.into(),
            filter,
            changes: changes.filter(|_| filter.tools_list_changed),
            seen: fingerprint(&self.dispatch, asking.actor, asking.view),
            next_look: Instant::now() + KEEP_ALIVE,
            acknowledged: false,
            done: false,
            fixture: self.mcp.rest.fixture().subscribe(),
            _open: open,
        };
        answer::stream(Body::from_stream(stream::unfold(listening, |mut listening| async move {
            let chunk = listening.next().await?;
            Some((Ok::<Bytes, Infallible>(chunk), listening))
        })))
    }
}

impl Listening {
    async fn next(&mut self) -> Option<Bytes> {
        if self.done {
            return None;
        }
        if !std::mem::replace(&mut self.acknowledged, true) {
            let filter = serde_json::to_string(&self.filter).unwrap_or_default();
            return Some(self.notification("subscriptions/acknowledged", &format!(r#","notifications":{filter}"#)));
        }
        loop {
            let changed = async {
                match &mut self.changes {
                    Some(changes) => changes.changed().await.is_ok(),
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = self.watch.shutdown.cancelled() => {
                    self.done = true;
                    return Some(self.ended());
                }
                more = changed => {
                    if !more {
                        self.changes = None;
                        continue;
                    }
                    // What this key may list can have changed with the key itself, so it is looked at again.
                    let Some(actor) = self.watch.look().await else { return Some(self.barred()) };
                    let now = fingerprint(&self.dispatch, &actor, &self.view);
                    if std::mem::replace(&mut self.seen, now) != now {
                        return Some(self.notification("tools/list_changed", ""));
                    }
                }
                nudge = self.fixture.next() => {
                    let (name, wanted) = match nudge {
                        conformance::Changed::Tools => ("tools/list_changed", self.filter.tools_list_changed),
                        conformance::Changed::Prompts => ("prompts/list_changed", self.filter.prompts_list_changed),
                    };
                    if wanted {
                        return Some(self.notification(name, ""));
                    }
                }
                () = sleep_until(self.next_look) => {
                    self.next_look = Instant::now() + KEEP_ALIVE;
                    if self.watch.look().await.is_none() {
                        return Some(self.barred());
                    }
                    return Some(Bytes::from_static(COMMENT));
                }
            }
        }
    }

    /// `more` are further members of the parameters, with a comma before them.
    fn notification(&self, name: &str, more: &str) -> Bytes {
        let json = format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/{name}","params":{{"_meta":{{"io.modelcontextprotocol/subscriptionId":{}}}{more}}}}}"#,
            self.id
        );
        Bytes::from(wire::event(json.as_bytes()))
    }

    /// The result of a subscription that the server ends in good order.
    fn ended(&self) -> Bytes {
        let mut json = Vec::with_capacity(256);
        wire::begin_result(&mut json, &self.id);
        json.extend_from_slice(br#"{"resultType":"complete","_meta":{"io.modelcontextprotocol/subscriptionId":"#);
        json.extend_from_slice(self.id.as_bytes());
        json.extend_from_slice(br#","io.modelcontextprotocol/serverInfo":"#);
        json.extend_from_slice(SERVER_INFO.as_bytes());
        json.extend_from_slice(b"}}}");
        Bytes::from(wire::event(&json))
    }

    /// The key was revoked, or its organization switched off.
    fn barred(&mut self) -> Bytes {
        self.done = true;
        let message = "The key of this subscription is not good any more.";
        Bytes::from(wire::event(&wire::error(Some(&self.id), wire::INVALID_REQUEST, message, None)))
    }
}

/// Of the list that the actor sees now.
fn fingerprint(dispatch: &Dispatch, actor: &Arc<Actor>, view: &View) -> u64 {
    let mut list = Vec::new();
    dispatch.write_list(actor, view, &mut list);
    let mut hasher = DefaultHasher::new();
    list.hash(&mut hasher);
    hasher.finish()
}
