//! The one predicate. Listing keeps the tools for which [`decide`] is `Ok`; calling starts with it.
//!
//! Deny beats allow, what is unknown is refused, and an empty set grants nothing. What lies outside the caller's organization
//! or instances answers exactly like what does not exist.
use std::sync::{Arc, LazyLock};

use crate::{
    Access, Actor, Category, Changes, Code, Common, Facts, Instance, InstanceState, Permissions, Refusal, Role, Selection,
    Timestamp, ToolRule, refusal,
};

/// How far the actor may go with this tool here, and what barred writing.
#[derive(Debug, Clone)]
pub struct Permit {
    actor: Arc<Actor>,
    changes: Changes,
    barred: Option<Bar>,
}

#[derive(Debug, Clone)]
enum Bar {
    /// The caller may not write with this tool at all.
    Never(Refusal),
    /// The guard is closed now: plans are still answered.
    Guard(Refusal),
}

/// Proof that this actor may write here with this tool.
#[derive(Debug, Clone)]
pub struct WritePermit {
    actor: Arc<Actor>,
    changes: Changes,
}

/// What outside things and unknown things alike answer.
pub fn unknown_tool(name: &str) -> Refusal {
    let shown: String = name.chars().take(80).collect();
    refusal(Code::UnknownTool, format!("There is no tool \"{shown}\" here."))
        .next("List the tools; ocore_list_instances names the instances that this key may use.")
}

/// Stage 1 and 2 of the pipeline, but for the rate: may this actor use this tool, on this instance?
///
/// `Ok` does not mean that a write is allowed: a tool that may also read is permitted to a reader, and the [`Permit`]
/// remembers why writing is barred. A closed guard bars writing and hides nothing.
pub fn decide(actor: &Arc<Actor>, tool: &Facts, at: Option<&Instance>, now: Timestamp) -> Result<Permit, Refusal> {
    let permissions = actor.permissions();
    if let Some(instance) = at
        && (!visible(actor, instance) || instance.state == InstanceState::Archived)
    {
        return Err(unknown_tool(tool.name));
    }
    if tool.on_instance() != at.is_some() {
        return Err(unknown_tool(tool.name));
    }
    // Which instances there are is always permitted to ask.
    if tool.name != "ocore_list_instances" {
        if !permissions.category(tool.category) {
            return Err(denied(format!(
                "This key does not have the category {}, which {} belongs to.",
                tool.category, tool.name
            )));
        }
        if !permissions.tools.permits(tool.name) {
            return Err(denied(format!("This key does not permit the tool {}.", tool.name)));
        }
    }
    let restricted = at.map_or_else(|| permissions.restricted(), |instance| actor.restricted_on(instance));
    if restricted && strong(tool) && !permissions.tools.names(tool.name) {
        return Err(denied(format!(
            "{} could pass by the limits of this key (its models, companies, fields or records are limited, by itself or by the organization).",
            tool.name
        ))
        .next("Use the tools of the categories orm and search, or ask for a key whose tool list names this one."));
    }
    let mut barred = None;
    if let Some(bar) = scope_bars(actor.ceiling(), tool) {
        // What role or key refuse for good is theirs to say: a person would be asked for the scope in vain.
        if bar.even_reads && !bars_for_good(actor, tool) {
            return Err(bar.why);
        }
        barred = Some(Bar::Never(bar.why));
    }
    if let Some(why) = role_bars(actor.role(), tool) {
        if tool.least > Access::Read || why.even_reads {
            return Err(denied(why.text));
        }
        barred = Some(Bar::Never(denied(why.text)));
    }
    // Also where the tool is listed as a read: some writes are found out only when the instance is asked.
    if permissions.read_only {
        let why = denied("This key is read-only.");
        if tool.least > Access::Read {
            return Err(why);
        }
        barred = Some(Bar::Never(why));
    }
    if barred.is_none()
        && tool.changes == Changes::Instance
        && let Some(instance) = at
        && let Some(why) = guard(instance, now).or_else(|| guard_of_neighbours(tool, instance, now))
    {
        barred = Some(Bar::Guard(why));
    }
    Ok(Permit { actor: Arc::clone(actor), changes: tool.changes, barred })
}

/// The most that a key may do with a tool on an instance that it sees, while that instance's guard is open: for words that tell people
/// what they are about to allow. It says of every tool what [`decide`] would (a test compares them); `restricted` as
/// [`Actor::restricted_on`].
pub fn most(role: Role, permissions: &Permissions, ceiling: Option<Access>, restricted: bool, tool: &Facts) -> Option<Access> {
    let in_orm = tool.category == Category::Export && permissions.categories.contains(&Category::Orm);
    let category = in_orm || permissions.categories.contains(&tool.category);
    let reached =
        category && permissions.tools.permits(tool.name) && !(restricted && strong(tool) && !permissions.tools.names(tool.name));
    let bar = role_bars(role, tool);
    let refused = bar.as_ref().is_some_and(|bar| bar.even_reads || tool.least > Access::Read)
        || (permissions.read_only && tool.least > Access::Read)
        || ceiling.is_none_or(|ceiling| tool.least > ceiling);
    if !reached || refused {
        return None;
    }
    let writes = bar.is_none() && !permissions.read_only && scope_bars(ceiling, tool).is_none();
    Some(if writes { tool.access } else { Access::Read })
}

/// Whether the instance exists for this actor.
pub fn visible(actor: &Actor, instance: &Instance) -> bool {
    instance.org == actor.org() && actor.permissions().instances.contains(&instance.id)
}

/// Why writes are off at this moment, if they are.
fn guard(instance: &Instance, now: Timestamp) -> Option<Refusal> {
    if instance.state == InstanceState::Maintenance {
        return Some(
            refusal(Code::WriteBlocked, format!("{} is in maintenance: it can be read, not changed.", instance.slug))
                .next("Wait until an administrator sets it active again."),
        );
    }
    (!instance.writable(now)).then(|| {
        refusal(Code::WriteBlocked, format!("Writes are off for {} ({}).", instance.slug, instance.environment))
            .next("Only an owner, an administrator or the operator opens the guard (mcp_write_enabled); dry_run shows what the call would do.")
    })
}

/// Why a neighbour bars what reaches it too: of all that share something, the strictest guard holds.
fn guard_of_neighbours(tool: &Facts, instance: &Instance, now: Timestamp) -> Option<Refusal> {
    if !reaches_neighbours(tool, instance) {
        return None;
    }
    instance.host.neighbours.iter().find_map(|n| {
        let closed = n.state == InstanceState::Maintenance || !n.write_enabled || n.write_enabled_until.is_some_and(|u| now >= u);
        closed.then(|| {
            let other = if n.org == instance.org { n.slug.to_string() } else { "an instance of another organization".to_owned() };
            let what = match n.common {
                Common::Container => "runs in the same container",
                Common::Addons => "has addons in the same folder",
                Common::DatabaseLogin => "has the same database login",
            };
            refusal(
                Code::WriteBlocked,
                format!("{} would reach {other} ({}) too, which {what}, and writes are off there.", tool.name, n.environment),
            )
            .next("Give the instances containers, addons folders and database logins of their own, or have the other's guard opened; dry_run shows what the call would do.")
        })
    })
}

/// Whether what the tool changes may reach beyond the instance's own database, to whatever shares its host.
fn reaches_neighbours(tool: &Facts, instance: &Instance) -> bool {
    match tool.category {
        Category::Shell | Category::Files | Category::Sql => true,
        // By RPC they change this database alone; in the container they restart what serves the others.
        Category::Modules if tool.name == "scaffold_module" => true,
        Category::Modules => instance.host.container.is_some(),
        _ => matches!(tool.name, "clear_system_cache" | "restore_database"),
    }
}

struct ScopeBar {
    why: Refusal,
    /// The call as a whole, not only what it would write.
    even_reads: bool,
}
/// What the scopes of an access token do not let this tool do. A tool that is listed as a read may find out that it would write.
fn scope_bars(ceiling: Option<Access>, tool: &Facts) -> Option<ScopeBar> {
    let even_reads = ceiling.is_none_or(|ceiling| tool.least > ceiling);
    let needed = if even_reads { tool.least } else { tool.access.max(Access::Write) };
    if ceiling >= Some(needed) {
        return None;
    }
    let text = format!("{} needs the scope \"{needed}\", which this client did not ask for or was not given.", tool.name);
    let mut why = refusal(Code::PermissionDenied, text).next(format!("Authorize the client again with the scope {needed}."));
    why.lacks = Some(needed);
    Some(ScopeBar { why, even_reads })
}
/// Whether the key or its owner's role refuse the tool whatever the scopes are.
fn bars_for_good(actor: &Actor, tool: &Facts) -> bool {
    role_bars(actor.role(), tool).is_some_and(|why| tool.least > Access::Read || why.even_reads)
        // A person who let a client in for reading may let it in for more.
        || (actor.permissions().read_only && tool.least > Access::Read && actor.grant().is_none())
}

fn denied(text: impl Into<std::borrow::Cow<'static, str>>) -> Refusal {
    refusal(Code::PermissionDenied, text).next("Ask an administrator of your organization for a key that permits it.")
}

struct RoleBar {
    text: &'static str,
    even_reads: bool,
}

/// What the owner's role does not do. Admins and owners do everything within their organization.
fn role_bars(role: Role, tool: &Facts) -> Option<RoleBar> {
    match role {
        Role::Owner | Role::Admin => None,
        Role::Member => (tool.category == Category::Shell || ADMIN_TOOLS.contains(&tool.name))
            .then_some(RoleBar { text: "The owner of this key is a member; this tool is for administrators.", even_reads: true }),
        Role::Viewer => {
            if matches!(tool.category, Category::Sql | Category::Shell | Category::Files) || LOGS_AND_BACKUPS.contains(&tool.name)
            {
                return Some(RoleBar {
                    text: "The owner of this key is a viewer; SQL, shell, files, logs and backups are not for viewers.",
                    even_reads: true,
                });
            }
            Some(RoleBar { text: "The owner of this key is a viewer, who reads and does not write.", even_reads: false })
        }
    }
}
const ADMIN_TOOLS: [&str; 6] =
    ["impersonate_user", "restore_database", "set_system_parameter", "set_user_active", "set_user_groups", "set_user_password"];
const LOGS_AND_BACKUPS: [&str; 4] = ["backup_database", "list_backups", "odoo_logs", "restore_database"];

/// The most that each role may do, as permissions: narrowed by them, an owner's key is let through where [`decide`] lets one of that role
/// through. What is no matter of roles (methods, rates, auto-context) they do not narrow; methods, of which there is no "all", are
/// [`of_role`]'s to keep.
pub fn ceiling(role: Role) -> &'static Permissions {
    static VIEWER: LazyLock<Permissions> = LazyLock::new(|| Permissions {
        categories: but(&[Category::Sql, Category::Shell, Category::Files]),
        tools: ToolRule::Deny(LOGS_AND_BACKUPS.map(str::to_owned).into()),
        read_only: true,
        ..HIGHEST.clone()
    });
    static MEMBER: LazyLock<Permissions> = LazyLock::new(|| Permissions {
        categories: but(&[Category::Shell]),
        tools: ToolRule::Deny(ADMIN_TOOLS.map(str::to_owned).into()),
        ..HIGHEST.clone()
    });
    static HIGHEST: LazyLock<Permissions> =
        LazyLock::new(|| Permissions { rate_per_minute: Some(u32::MAX), auto_context: true, ..Permissions::all() });
    match role {
        Role::Viewer => &VIEWER,
        Role::Member => &MEMBER,
        Role::Admin | Role::Owner => &HIGHEST,
    }
}
fn but(not: &[Category]) -> Selection<Category> {
    Selection::Only(Category::ALL.iter().copied().filter(|c| !not.contains(c)).collect())
}
/// What is left of permissions in the hands of that role.
#[must_use]
pub fn of_role(permissions: &Permissions, role: Role) -> Permissions {
    Permissions { methods: permissions.methods.clone(), ..permissions.and(ceiling(role)) }
}

/// Tools that see or change more than the models and records a restricted key is limited to.
fn strong(tool: &Facts) -> bool {
    STRONG_CATEGORIES.contains(&tool.category) || STRONG_TOOLS.contains(&tool.name)
}
pub(crate) const STRONG_CATEGORIES: [Category; 5] =
    [Category::Sql, Category::Shell, Category::Files, Category::Modules, Category::Reports];
/// Those of other categories.
pub(crate) const STRONG_TOOLS: [&str; 8] = [
    "backup_database",
    "impersonate_user",
    "list_backups",
    "odoo_logs",
    "restore_database",
    "set_user_active",
    "set_user_groups",
    "set_user_password",
];

impl Permit {
    /// After the arguments are decoded, when it is known that this call writes: the permit for it, or why not.
    pub fn write(&self) -> Result<WritePermit, Refusal> {
        match &self.barred {
            None => Ok(WritePermit { actor: Arc::clone(&self.actor), changes: self.changes }),
            Some(Bar::Never(why) | Bar::Guard(why)) => Err(why.clone()),
        }
    }
    /// Whether a plan of the write may be shown; `Some` carries why the run itself would be refused.
    pub fn plan(&self) -> Result<Option<Refusal>, Refusal> {
        match &self.barred {
            None => Ok(None),
            Some(Bar::Guard(why)) => Ok(Some(why.clone())),
            Some(Bar::Never(why)) => Err(why.clone()),
        }
    }
    pub fn actor(&self) -> &Arc<Actor> {
        &self.actor
    }
}
impl WritePermit {
    pub fn actor(&self) -> &Arc<Actor> {
        &self.actor
    }
    pub fn changes(&self) -> Changes {
        self.changes
    }
}
