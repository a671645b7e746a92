//! The memory that bodies of requests may take.
//!
//! A body counts from before it is read until the work that it asks for is over: a call holds its arguments while it waits
//! for its instance.
use std::{sync::Arc, time::Duration};

use axum::{
    body::{Body, HttpBody as _},
    http::{HeaderMap, StatusCode, header, request::Parts},
    response::Response,
};
use bytes::{Bytes, BytesMut};
use futures_util::FutureExt as _;
use http_body_util::BodyExt as _;
use kernel::{Actor, Code, OrgId, TimeDelta, refusal};

use crate::{
    Gateway, answer,
    edge::Visitor,
    mcp::wire,
    metrics::Metrics,
    shares::{Shares, Taken, UsedUp},
};

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// The largest request body.
pub const MAX_BODY: usize = 16 * MIB;
/// A body must arrive whole within this time.
const BODY_TIME: Duration = Duration::from_mins(1);

/// All bodies of a node. Parsed, JSON takes some four times its bytes, so a full node stays within a gigabyte or so beyond
/// what it needs anyway.
const NODE: usize = 256 * MIB;
/// All bodies of one organization: a quarter, so that none takes the node from the others. By organization and not by key,
/// because keys are made at will.
const ORGANIZATION: usize = NODE / 4;
/// Up to here a body is small, as those of nearly all calls are. A quarter of both budgets is for them alone: imports under
/// way leave room for everything else.
const SMALL: usize = 64 * KIB;
/// What even an empty body counts, about what its request takes beside it. So small ones are bounded in number, too: 4,096
/// of one organization at a time, 16,384 of a node.
const LEAST: usize = 4 * KIB;

/// What a client that is refused for want of room should wait, in seconds: most calls take less.
const RETRY_SECONDS: u32 = 5;
/// An actor must hold for so long after its body was read, so that its call still finds it fresh.
const SPARE: TimeDelta = TimeDelta::seconds(10);

/// The two budgets of bodies.
pub(crate) struct Bodies {
    small: Arc<Shares>,
    large: Arc<Shares>,
}
impl Bodies {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        let of = |quarters: usize| {
            Shares::new("bodies", NODE / 4 * quarters, ORGANIZATION / 4 * quarters, &metrics.body_bytes, metrics)
        };
        Self { small: of(1), large: of(3) }
    }

    fn take(&self, org: OrgId, bytes: usize) -> Result<Taken, UsedUp> {
        let shares = if bytes > SMALL { &self.large } else { &self.small };
        shares.take(org, bytes.max(LEAST))
    }

    /// For a body that turns out longer than it was announced, or was not announced at all.
    fn grow(&self, taken: &mut Taken, bytes: usize) -> Result<(), UsedUp> {
        if bytes > SMALL && taken.amount() <= SMALL {
            *taken = self.take(taken.org(), bytes)?;
            return Ok(());
        }
        taken.grow_to(bytes)
    }
}

/// A body that has come in.
pub(crate) struct Received {
    pub bytes: Bytes,
    /// Who sent it, as of when it was there.
    pub actor: Arc<Actor>,
    /// Its memory; goes on with the work that the body asks for.
    pub room: Taken,
}

enum Unread {
    NoRoom(UsedUp),
    TooLarge,
    Slow,
    Broken,
}
impl From<UsedUp> for Unread {
    fn from(used_up: UsedUp) -> Self {
        Self::NoRoom(used_up)
    }
}

impl Gateway {
    /// The whole body, at most [`MAX_BODY`] bytes, within [`BODY_TIME`].
    pub(crate) async fn body(
        &self,
        visitor: &Visitor,
        parts: &Parts,
        actor: Arc<Actor>,
        body: Body,
    ) -> Result<Received, Response> {
        let announced = announced(&parts.headers);
        if announced > MAX_BODY as u64 {
            return Err(self.too_large(visitor));
        }
        let announced = usize::try_from(announced).unwrap_or(MAX_BODY);
        let mut room = self.bodies.take(actor.org(), announced).map_err(no_room)?;
        match collect(body, &self.bodies, &mut room).await {
            Ok(bytes) => Ok(Received { bytes, actor: self.still(visitor, parts, actor).await?, room }),
            Err(Unread::NoRoom(used_up)) => Err(no_room(used_up)),
            Err(Unread::TooLarge) => Err(self.too_large(visitor)),
            Err(Unread::Slow) => Err(answer::refused(
                StatusCode::REQUEST_TIMEOUT,
                &refusal(Code::Timeout, "The request's body did not arrive in time.").next("Send it again."),
            )),
            Err(Unread::Broken) => Err(answer::refused(
                StatusCode::BAD_REQUEST,
                &refusal(Code::InvalidArgument, "The request's body could not be read.").next("Send it again."),
            )),
        }
    }

    /// The caller once more, when the body took so long that what was found out about the key is old: an honest slow upload
    /// goes on, and one whose key was revoked meanwhile ends here, whatever it asks for.
    async fn still(&self, visitor: &Visitor, parts: &Parts, actor: Arc<Actor>) -> Result<Arc<Actor>, Response> {
        if actor.fresh(self.sources.now() + SPARE) {
            return Ok(actor);
        }
        // Boxed, because it is rare and every request would hold the room for it.
        Box::pin(self.again(visitor, parts, actor.facade())).await
    }

    fn too_large(&self, visitor: &Visitor) -> Response {
        self.security_event("body_too_large", visitor.address, "more than 16 MiB");
        answer::refused(
            StatusCode::PAYLOAD_TOO_LARGE,
            &refusal(Code::TooLarge, "A request has at most 16 MiB.")
                .next("Send less at a time; imports go in parts of 1,000 records."),
        )
    }
}

/// As JSON-RPC, without the id that stands in the body that was not read.
fn no_room(used_up: UsedUp) -> Response {
    let why = match used_up {
        UsedUp::Organization => refusal(
            Code::Busy,
            "Your organization's requests under way already hold all the memory that one organization may take here.",
        )
        .next("Wait for some of their answers and send this one again. Send the parts of a large import one after the other."),
        UsedUp::Node => refusal(Code::Busy, "The requests under way hold all the memory that this server has for them.")
            .next("Send this one again in a few seconds."),
    };
    let data = serde_json::to_string(&why).ok();
    let message = format!("{} {}", why.message, why.next);
    let body = wire::error(None, wire::NO_ROOM, &message, data.as_deref());
    answer::retry_after(answer::json(StatusCode::TOO_MANY_REQUESTS, body), RETRY_SECONDS)
}

/// Zero when the length is not known. hyper holds the body to it.
fn announced(headers: &HeaderMap) -> u64 {
    headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()).and_then(|v| v.parse().ok()).unwrap_or(0)
}

async fn collect(mut body: Body, bodies: &Bodies, room: &mut Taken) -> Result<Bytes, Unread> {
    // Nearly always the body has arrived with the headers, in one piece: no timer and no copy then.
    let first = match body.frame().now_or_never() {
        Some(None) => return Ok(Bytes::new()),
        Some(Some(frame)) => frame.map_err(|_| Unread::Broken)?.into_data().unwrap_or_default(),
        None => Bytes::new(),
    };
    if first.len() > MAX_BODY {
        return Err(Unread::TooLarge);
    }
    bodies.grow(room, first.len())?;
    if body.is_end_stream() {
        return Ok(first);
    }
    let rest = async {
        let mut all = BytesMut::from(first);
        while let Some(frame) = body.frame().await {
            if let Ok(data) = frame.map_err(|_| Unread::Broken)?.into_data() {
                let length = all.len() + data.len();
                if length > MAX_BODY {
                    return Err(Unread::TooLarge);
                }
                bodies.grow(room, length)?;
                all.extend_from_slice(&data);
            }
        }
        Ok(all.freeze())
    };
    Box::pin(tokio::time::timeout(BODY_TIME, rest)).await.unwrap_or(Err(Unread::Slow))
}
