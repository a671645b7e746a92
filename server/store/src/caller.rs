//! Whom a tenant-bound handle works for, and where. It reaches nothing else.
use std::sync::Arc;

use kernel::{Actor, CallId, InstanceId, KeyId, OrgId, SessionId, UserId};

/// Made by dispatch from the actor and the instance of a call; every statement of a handle is bound to it.
#[derive(Debug, Clone)]
pub struct Caller {
    pub org: OrgId,
    pub instance: InstanceId,
    pub instance_slug: Arc<str>,
    pub key: KeyId,
    pub key_label: Arc<str>,
    pub user: Option<UserId>,
    pub session: SessionId,
    pub call: CallId,
}
impl Caller {
    pub fn new(actor: &Actor, instance: &kernel::Instance, call: CallId) -> Self {
        Self {
            org: actor.org(),
            instance: instance.id,
            instance_slug: Arc::clone(&instance.slug),
            key: actor.key(),
            key_label: Arc::clone(actor.key_label()),
            user: actor.user(),
            session: actor.session(),
            call,
        }
    }
}
