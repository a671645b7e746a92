//! One tools/call on its way to a client: held, streamed, given up.
use std::{convert::Infallible, net::IpAddr, sync::Arc, time::Duration};

use axum::body::Body;
use bytes::Bytes;
use dispatch::{Answer, Running};
use futures_util::{FutureExt as _, future::BoxFuture, stream};
use identity::{Keys, Presented};
use kernel::{Actor, ExposeSecret as _, Facade, SecretString};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::wire;
use crate::{metrics::Meter, shares::Taken};

/// After so long a client that takes streams gets one.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
/// How long a call of a client with few scopes is waited for before a stream is opened: a refusal for want of a scope comes at once.
pub(crate) const VERDICT: Duration = Duration::from_millis(500);
/// No call takes longer; what goes on after it is an operation, whose memory is not a request's any more.
const LONGEST: Duration = Duration::from_mins(2);
/// Between two progress notifications.
pub(crate) const THROTTLE: Duration = Duration::from_millis(100);
/// Between two signs of life on a stream, and between two looks at the key of a stream that only waits.
pub(crate) const KEEP_ALIVE: Duration = if cfg!(test) { Duration::from_millis(300) } else { Duration::from_secs(15) };
pub(crate) const COMMENT: &[u8] = b": keep-alive\n\n";

/// A call whose client may go away.
pub(crate) struct Held {
    running: Option<Running>,
    meter: Meter,
    /// Whether the call goes on when nobody waits for it any more.
    outlives: bool,
    /// The memory of its arguments.
    room: Option<Taken>,
}
pub(crate) struct Ended {
    pub answer: Answer,
}
impl Held {
    /// A lost connection cancels in the modern era (2026-07-28, Streamable HTTP section "Cancellation"), and must not in
    /// the legacy one: there the call goes on to its end with nobody listening. `outlives` says which.
    pub(crate) fn new(running: Running, meter: Meter, outlives: bool, room: Option<Taken>) -> Self {
        Self { running: Some(running), meter, outlives, room }
    }
    /// The end of the call. May be dropped and asked again until it has answered once.
    pub(crate) async fn answer(&mut self) -> Ended {
        let Some(running) = &mut self.running else { return std::future::pending().await };
        let answer = running.answer().await;
        self.running = None;
        self.room = None;
        self.meter.ended(answer.category, answer.code);
        Ended { answer }
    }
    pub(crate) fn progress(&self) -> Option<tokio::sync::watch::Receiver<kernel::Progress>> {
        self.running.as_ref().map(|r| r.progress.clone())
    }
    pub(crate) fn cancel(&self) {
        if let Some(running) = &self.running {
            running.cancel();
        }
    }
}
impl Drop for Held {
    fn drop(&mut self) {
        let (Some(mut running), Ok(runtime)) = (self.running.take(), tokio::runtime::Handle::try_current()) else { return };
        let room = self.room.take();
        if self.outlives {
            running.leave();
            runtime.spawn(async move {
                running.answer().await;
                drop(room);
            });
        } else {
            // What has begun to write goes on, with its arguments: who hangs up has not given back the memory yet. The
            // sender of the progress lives as long as the call.
            let mut progress = running.progress.clone();
            drop(running);
            runtime.spawn(async move {
                let over = async { while progress.changed().await.is_ok() {} };
                let _ = tokio::time::timeout(LONGEST, over).await;
                drop(room);
            });
        }
    }
}

struct Streaming {
    held: Held,
    id: String,
    /// The client's progress token as raw JSON.
    token: Option<String>,
    marks: &'static str,
    progress: Option<tokio::sync::watch::Receiver<kernel::Progress>>,
    /// The last progress sent: it must grow with each notification.
    sent: Option<u64>,
    /// Whether there is progress that was not sent yet.
    pending: bool,
    next_progress: Instant,
    watch: Watch,
    next_look: Instant,
    done: bool,
}

/// Progress, signs of life, and at the end the answer.
pub(crate) fn stream(held: Held, id: String, token: Option<String>, marks: &'static str, watch: Watch) -> Body {
    let now = Instant::now();
    let state = Streaming {
        progress: if token.is_some() { held.progress() } else { None },
        held,
        id,
        token,
        marks,
        sent: None,
        pending: false,
        next_progress: now,
        watch,
        next_look: now + KEEP_ALIVE,
        done: false,
    };
    Body::from_stream(stream::unfold(state, |mut state| async move {
        if state.done {
            return None;
        }
        let chunk = state.next().await;
        Some((Ok::<Bytes, Infallible>(Bytes::from(chunk)), state))
    }))
}

impl Streaming {
    async fn next(&mut self) -> Vec<u8> {
        loop {
            let changed = async {
                match &mut self.progress {
                    Some(progress) if !self.pending => progress.changed().await.is_ok(),
                    _ => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                ended = self.held.answer() => {
                    self.done = true;
                    return wire::event(&wire::answer(&self.id, &ended.answer, self.marks));
                }
                more = changed => {
                    if more { self.pending = true } else { self.progress = None }
                }
                () = sleep_until(self.next_progress), if self.pending => {
                    self.pending = false;
                    if let Some(chunk) = self.notification() {
                        self.next_progress = Instant::now() + THROTTLE;
                        return chunk;
                    }
                }
                () = sleep_until(self.next_look) => {
                    self.next_look = Instant::now() + KEEP_ALIVE;
                    if self.watch.look().await.is_none() {
                        self.held.cancel();
                        self.done = true;
                        let message = "The key of this request is not good any more.";
                        return wire::event(&wire::error(Some(&self.id), wire::INVALID_REQUEST, message, None));
                    }
                    return COMMENT.to_vec();
                }
            }
        }
    }

    /// The newest progress, if it is further than the last one sent.
    fn notification(&mut self) -> Option<Vec<u8>> {
        let token = self.token.as_deref()?;
        let progress = self.progress.as_mut()?.borrow_and_update().clone();
        if self.sent.is_some_and(|sent| progress.done <= sent) {
            return None;
        }
        self.sent = Some(progress.done);
        Some(wire::event(&notification(token, &progress)))
    }
}

pub(crate) fn notification(token: &str, progress: &kernel::Progress) -> Vec<u8> {
    let mut out = format!(
        r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":{token},"progress":{}"#,
        progress.done
    )
    .into_bytes();
    if let Some(total) = progress.total {
        out.extend_from_slice(format!(",\"total\":{total}").as_bytes());
    }
    if !progress.text.is_empty() {
        out.extend_from_slice(b",\"message\":");
        wire::string(&mut out, &progress.text);
    }
    out.extend_from_slice(b"}}");
    out
}

/// The key of a stream that only waits, to look at it again: revocation and the kill switch end the stream.
pub(crate) struct Watch {
    pub keys: Arc<Keys>,
    pub key: SecretString,
    pub address: IpAddr,
    pub facade: Facade,
    pub client: String,
    pub audience: Option<String>,
    pub shutdown: CancellationToken,
}
impl Watch {
    /// The actor as of now; none when the key is not good any more. A stream that waits is no use of its key. Boxed, because
    /// thousands of streams hold the room for this look that they take every few seconds.
    pub(crate) fn look(&self) -> BoxFuture<'_, Option<Arc<Actor>>> {
        async {
            let shown = Presented {
                text: self.key.expose_secret(),
                address: self.address,
                facade: self.facade,
                client: &self.client,
                audience: self.audience.as_deref(),
            };
            self.keys.look(shown).await.ok()
        }
        .boxed()
    }
    /// Returns when the stream must end: the key is not good any more, or the server shuts down.
    pub(crate) async fn until_over(&self) {
        loop {
            tokio::select! {
                () = self.shutdown.cancelled() => return,
                () = tokio::time::sleep(KEEP_ALIVE) => {}
            }
            if self.look().await.is_none() {
                return;
            }
        }
    }
}
