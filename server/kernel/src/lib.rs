//! The words of ocore and the proofs that its types carry. No I/O.
//!
//! Whoever holds a [`Permit`] has passed [`policy::decide`]; whoever holds a [`WritePermit`] has also passed the guard.
//! Both are made in this crate only. An [`Actor`] is made by the identity crate only (a clippy rule).

mod access;
mod actor;
mod clock;
mod id;
pub mod knowledge;
pub mod name;
mod network;
mod permissions;
mod plan;
pub mod policy;
pub mod redact;
mod refusal;
mod registry;
pub mod resource;

pub use access::{Access, Category, Changes, Facts, Role};
pub use actor::{Actor, Facade, OwnCredentials, Verified};
pub use chrono::TimeDelta;
pub use clock::{Clock, ManualClock, Random, SeededRandom, Sources, SystemClock, SystemRandom, Timestamp, parse_time, time_text};
pub use id::{
    CallId, CredentialId, FamilyId, GrantId, ImpersonationId, InstanceId, InviteId, KeyId, OrgId, ResourceId, ServerId,
    SessionId, UserId,
};
pub use network::Networks;
pub use permissions::{Permissions, Selection, ToolRule, USUAL_RATE};
pub use plan::{Plan, Progress};
pub use policy::{Permit, WritePermit};
pub use refusal::{Code, Fault, Refusal, Result, refusal};
pub use registry::{
    AddonsFolder, Common, DockerConnection, Environment, Health, Host, Instance, InstanceState, Neighbour, OdooVersion,
    Organization, PostHogConnection, PostgresConnection, RpcConnection, RpcDialect, Server,
};
pub use secrecy::{ExposeSecret, SecretString};
