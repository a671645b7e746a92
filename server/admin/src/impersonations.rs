//! Visits to instances as one of their Odoo users: a link that the tool `impersonate_user` made is looked at, opened once by the person
//! it is for, and becomes a visit at the instance's own host name. A visit lives as long as the call that asked for it would still be
//! let through: who loses the key, the role or the organization, or finds the instance's guard closed, is out at the next request.
use std::{
    collections::{HashMap, HashSet},
    net::IpAddr,
    sync::Arc,
};

use futures_util::{StreamExt as _, stream};
use identity::{Keys, Signed};
use kernel::{
    Code, ExposeSecret as _, Facts, ImpersonationId, Instance, Refusal, Role, SecretString, SessionId, TimeDelta, Timestamp,
    UserId, policy, refusal, time_text,
};
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::{Value, json};
use store::{
    audit_log::{self, Target, Who},
    impersonations::{self, Impersonation},
    registry::Registry,
    users,
};
use tokio::sync::RwLock;
use url::Url;

pub use backends::odoo::pages::{Ask, Body, Closed, Connection, Page, Pages, closed, looked_at, names_another};

use crate::{Admin, By, orgs, target};

/// Where two results lie in each other, the outer one is the store's.
type Result<T, E = kernel::Fault> = std::result::Result<T, E>;

/// How long a visit is believed without asking the store whether it was ended on another node.
const BELIEVED: TimeDelta = TimeDelta::seconds(5);
/// Kinds of changes of one visit that have a row of their own.
const KINDS: usize = 500;
/// Visits in memory; with more, those that are over are forgotten.
const VISITS: usize = 1_000;
/// What the names of ocore's own cookies contain: they do not reach Odoo, and Odoo sets none of them.
pub const COOKIES: &str = "ocore-";

/// Why a link does not open.
#[derive(Debug, Clone)]
pub enum Gone {
    /// There is none, or it is somebody else's: which is not told.
    NotYours,
    Expired,
    Used,
    Ended,
    /// What asked for it is not let through any more.
    Refused(Refusal),
}

/// A link as its person sees it before it is opened.
#[derive(Debug, Clone)]
pub struct Look {
    pub instance: Arc<Instance>,
    pub login: String,
    pub reason: String,
    pub key_label: String,
    pub valid_until: Timestamp,
    pub visit_minutes: i64,
    /// The scheme, host and port that opening it leads to.
    pub leads_to: String,
}

/// A visit that goes on.
#[derive(Debug)]
pub struct Visit {
    pub of: Impersonation,
    pub instance: Arc<Instance>,
    /// The cookie of the Odoo session.
    session: RwLock<SecretString>,
    /// The kinds of changes that have a row.
    told: Mutex<HashSet<String>>,
}

/// By the hash of the cookie, with when the store was last asked.
type Known = HashMap<[u8; 32], (Arc<Visit>, Timestamp)>;

/// Links and visits of this process.
#[derive(Debug)]
pub struct Visits {
    admin: Admin,
    registry: Arc<Registry>,
    keys: Arc<Keys>,
    pages: Pages,
    /// The tool that makes links.
    tool: Facts,
    places: Places,
    known: Mutex<Known>,
}

/// The host names of instances: `{slug}.{domain}`, with the scheme and port of ocore's own URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    domain: String,
    scheme: String,
    port: Option<u16>,
    home: Url,
}
impl Places {
    /// # Errors
    /// Says what is wrong: the domain is to be another than ocore's own, and none below or above it, so that neither reads or sets the
    /// other's cookies.
    pub fn new(public_url: &Url, domain: &str) -> Result<Self, String> {
        let domain = domain.trim().trim_end_matches('.').to_ascii_lowercase();
        if public_url.path() != "/" {
            return Err("public_url has a path: people's pages need a host of their own".to_owned());
        }
        let parsed = Url::parse(&format!("http://x.{domain}/")).map_err(|_| format!("\"{domain}\" is no domain name"))?;
        let named = matches!(parsed.host(), Some(url::Host::Domain(host)) if host == format!("x.{domain}"));
        if !named || parsed.port().is_some() || parsed.path() != "/" || domain.is_empty() {
            return Err(format!(
                "\"{domain}\" is no domain name: write one like pages.example.net, without scheme, port or slash"
            ));
        }
        let own = public_url.host_str().unwrap_or_default().trim_end_matches('.').to_ascii_lowercase();
        let below = |a: &str, b: &str| a.strip_suffix(b).is_some_and(|rest| rest.ends_with('.'));
        // The names of this machine are no registered domain that cookies could be shared in.
        if own == domain || (own != "localhost" && (below(&domain, &own) || below(&own, &domain))) {
            return Err(format!(
                "\"{domain}\" and ocore's own host {own} lie in each other: take a domain of its own, best another registered one"
            ));
        }
        Ok(Self { domain, scheme: public_url.scheme().to_owned(), port: public_url.port(), home: public_url.clone() })
    }
    /// The slug in a host name (without port) of an instance; none for other hosts.
    pub fn slug<'a>(&self, host: &'a str) -> Option<&'a str> {
        let (slug, domain) = host.strip_suffix('.').unwrap_or(host).split_once('.')?;
        domain.eq_ignore_ascii_case(&self.domain).then_some(slug)
    }
    /// ocore's own first page.
    pub fn home(&self) -> &Url {
        &self.home
    }
    /// Scheme, host and port of an instance.
    pub fn origin(&self, slug: &str) -> String {
        let port = self.port.map(|port| format!(":{port}")).unwrap_or_default();
        format!("{}://{slug}.{}{port}", self.scheme, self.domain)
    }
    /// Whether the last two labels are those of ocore's own host: then both are probably one site to browsers.
    pub fn related(&self, public_url: &Url) -> bool {
        let last = |host: &str| host.rsplit('.').take(2).map(str::to_owned).collect::<Vec<_>>();
        let own = public_url.domain().unwrap_or_default();
        own.contains('.') && last(own) == last(&self.domain)
    }
    /// Whether browsers speak TLS to it.
    pub fn secure(&self) -> bool {
        self.scheme == "https"
    }
}

impl Visits {
    pub fn new(admin: Admin, registry: Arc<Registry>, keys: Arc<Keys>, pages: Pages, tool: Facts, places: Places) -> Self {
        Self { admin, registry, keys, pages, tool, places, known: Mutex::default() }
    }
    pub fn places(&self) -> &Places {
        &self.places
    }

    /// Whether what asked for it would be let through now, from that address; and the instance.
    fn stands(&self, found: &Impersonation, address: IpAddr) -> Result<Arc<Instance>, Refusal> {
        let actor = self.keys.resume(found.key, address, SessionId::nil()).map_err(|denied| denied.reason.refusal())?;
        let snapshot = self.registry.current();
        let gone = || refusal(Code::NotFound, "The instance is no longer there.");
        let instance = snapshot.instance_by_id(found.org, found.instance).ok_or_else(gone)?;
        if actor.user() != Some(found.user) {
            return Err(refusal(Code::PermissionDenied, "The key that asked for it has another owner now."));
        }
        policy::decide(&actor, &self.tool, Some(instance), self.admin.sources.now())?.write()?;
        Ok(Arc::clone(instance))
    }
    /// The link, when this person may open it now.
    async fn link(&self, link: &str, signed: &Signed, address: IpAddr) -> Result<Result<(Impersonation, Arc<Instance>), Gone>> {
        let now = self.admin.sources.now();
        let Some(found) = impersonations::by_link(&self.admin.db, link).await? else { return Ok(Err(Gone::NotYours)) };
        if found.user != signed.user {
            let detail = json!({ "why": "it is somebody else's link", "odoo_user": found.odoo_login });
            let who = person(signed, address).who();
            self.note(&who, &found, "impersonation.refused", &detail).await?;
            return Ok(Err(Gone::NotYours));
        }
        Ok(match (found.opened_at, found.ended_at) {
            (Some(_), _) => Err(Gone::Used),
            _ if found.link_until <= now => Err(Gone::Expired),
            (None, Some(_)) => Err(Gone::Ended),
            (None, None) => self.stands(&found, address).map(|instance| (found, instance)).map_err(Gone::Refused),
        })
    }

    /// What a link would open. Changes nothing: programs that follow every link look too.
    pub async fn look(&self, link: &str, signed: &Signed, address: IpAddr) -> Result<Result<Look, Gone>> {
        Ok(self.link(link, signed, address).await?.map(|(found, instance)| Look {
            leads_to: self.places.origin(&instance.slug),
            instance,
            login: found.odoo_login,
            reason: found.reason,
            key_label: found.key_label,
            valid_until: found.link_until,
            visit_minutes: impersonations::VISIT.num_minutes(),
        }))
    }

    /// Opens a link: once. Gives the address at which the visit begins, for this browser and for half a minute.
    pub async fn open(&self, link: &str, signed: &Signed, address: IpAddr) -> Result<Result<SecretString, Gone>> {
        let (found, instance) = match self.link(link, signed, address).await? {
            Ok(found) => found,
            Err(gone) => return Ok(Err(gone)),
        };
        let admin = &self.admin;
        let mut tx = admin.begin().await?;
        let Some(handoff) = impersonations::open(&mut tx, found.id, &admin.sources).await? else { return Ok(Err(Gone::Used)) };
        let detail = json!({
            "instance": &instance.slug,
            "odoo_user": &found.odoo_login,
            "odoo_user_id": found.odoo_user,
            "reason": &found.reason,
            "key": &found.key_label,
            "until": time_text(admin.sources.now() + impersonations::VISIT),
        });
        let by = person(signed, address);
        admin.log(&mut tx, &by, Some(found.org), "impersonation.open", about(&found), &detail).await?;
        tx.commit().await?;
        Ok(Ok(format!("{}{ENTER}{}", self.places.origin(&instance.slug), handoff.expose_secret()).into()))
    }

    /// Takes what [`Visits::open`] gave, once. Gives the cookie of the visit and the page that it begins at.
    pub async fn enter(&self, slug: &str, handoff: &str, address: IpAddr) -> Result<Option<(SecretString, String)>> {
        // Anybody may ask: only what is there takes the store's writer.
        if !impersonations::is_handoff(&self.admin.db, handoff).await? {
            return Ok(None);
        }
        let mut tx = self.admin.begin().await?;
        let Some((found, cookie)) = impersonations::enter(&mut tx, handoff, &self.admin.sources).await? else { return Ok(None) };
        // One for another host name is spent, and opens nothing.
        let here = self.stands(&found, address).is_ok_and(|instance| &*instance.slug == slug);
        tx.commit().await?;
        if !here {
            self.end(&found, "opened at the wrong host name, or no longer permitted", None).await?;
            return Ok(None);
        }
        Ok(Some((cookie, found.landing)))
    }

    /// The visit of a cookie at an instance's host name.
    ///
    /// # Errors
    /// The inner one says why there is none (any more).
    pub async fn visit(&self, slug: &str, cookie: &str, address: IpAddr) -> Result<Result<Arc<Visit>, Gone>> {
        let (key, now) = (impersonations::hash(cookie), self.admin.sources.now());
        let believed =
            self.known.lock().get(&key).filter(|(_, since)| now - *since < BELIEVED).map(|(visit, _)| Arc::clone(visit));
        let visit = match believed {
            Some(visit) => visit,
            None => match self.stored(cookie, address, now).await? {
                Ok(fresh) => {
                    let old = self.known.lock().get(&key).map(|(old, _)| Arc::clone(old));
                    let visit = match old {
                        // What is known of its changes goes on; its session may have been renewed on another node.
                        Some(old) if Arc::ptr_eq(&old.instance, &fresh.instance) => {
                            *old.session.write().await = fresh.session.read().await.clone();
                            old
                        }
                        // The instance was changed, and may be elsewhere now.
                        _ => fresh,
                    };
                    let mut known = self.known.lock();
                    if known.len() >= VISITS {
                        known.retain(|_, (visit, _)| visit.of.is_visit(now));
                    }
                    known.insert(key, (Arc::clone(&visit), now));
                    visit
                }
                Err(gone) => {
                    self.known.lock().remove(&key);
                    return Ok(Err(gone));
                }
            },
        };
        if !visit.of.is_visit(now) {
            self.known.lock().remove(&key);
            return Ok(Err(Gone::Expired));
        }
        if &*visit.instance.slug != slug {
            return Ok(Err(Gone::NotYours));
        }
        if let Err(refused) = self.stands(&visit.of, address) {
            if refused.code == Code::Unreachable {
                // Nobody can be verified at the moment: that ends nothing.
                return Ok(Err(Gone::Refused(refused)));
            }
            self.end(&visit.of, &refused.message, None).await?;
            return Ok(Err(Gone::Refused(refused)));
        }
        Ok(Ok(visit))
    }
    async fn stored(&self, cookie: &str, address: IpAddr, now: Timestamp) -> Result<Result<Arc<Visit>, Gone>> {
        let Admin { db, vault, .. } = &self.admin;
        let Some((of, session)) = impersonations::by_visit(db, vault, cookie, now).await? else { return Ok(Err(Gone::Ended)) };
        let instance = match self.stands(&of, address) {
            Ok(instance) => instance,
            Err(refused) => {
                if refused.code != Code::Unreachable {
                    self.end(&of, &refused.message, None).await?;
                }
                return Ok(Err(Gone::Refused(refused)));
            }
        };
        Ok(Ok(Arc::new(Visit { of, instance, session: RwLock::new(session), told: Mutex::default() })))
    }

    /// Passes a request on to Odoo as the visit's user. The first change of each kind has a row in the main audit log, written before.
    ///
    /// # Errors
    /// The inner one is about the instance; nothing is passed on when the row cannot be written.
    pub async fn pass(&self, visit: &Visit, mut ask: Ask, address: IpAddr) -> Result<Result<Page, Refusal>> {
        if let Some(kind) = change(&mut ask).await {
            let known = visit.told.lock().contains(&kind);
            if !known {
                // Two at once may write it twice; one that breaks off leaves it to the next.
                self.did(visit, &kind, address).await?;
                let mut told = visit.told.lock();
                // Beyond that each has a row.
                if told.len() < KINDS {
                    told.insert(kind);
                }
            }
        }
        let session = visit.session.read().await.clone();
        let origin = self.places.origin(&visit.instance.slug);
        let own = |name: &str| name.contains(COOKIES);
        let page = match self.pages.pass(&visit.instance, &session, ask, &origin, &own).await {
            Ok(page) => page,
            Err(refused) => return Ok(Err(refused)),
        };
        if let Some(renewed) = &page.renewed
            && renewed.expose_secret() != session.expose_secret()
        {
            let mut current = visit.session.write().await;
            // Of several at once the first renewal counts; what came with an older session is nobody's.
            if current.expose_secret() == session.expose_secret() {
                *current = renewed.clone();
                drop(current);
                self.keep(visit.of.id, renewed.clone());
            }
        }
        Ok(Ok(page))
    }
    /// Stores a renewed session, also when the browser has gone meanwhile.
    fn keep(&self, id: ImpersonationId, session: SecretString) {
        let admin = self.admin.clone();
        tokio::spawn(async move {
            let stored = async {
                let mut tx = admin.db.begin().await?;
                impersonations::renew(&mut tx, &admin.vault, id, &session).await?;
                tx.commit().await
            };
            if let Err(error) = stored.await {
                tracing::error!(error = &error as &dyn std::error::Error, "a renewed session of a visit could not be stored");
            }
        });
    }
    async fn did(&self, visit: &Visit, kind: &str, address: IpAddr) -> Result<()> {
        let owner = users::find(&self.admin.db, visit.of.user).await?;
        let who = Who {
            kind: "user",
            id: Some(visit.of.user.to_string()),
            name: owner.map_or_else(String::new, |user| user.email),
            address: Some(address.to_string()),
        };
        let detail = json!({ "instance": &visit.instance.slug, "odoo_user": &visit.of.odoo_login, "what": kind });
        self.note(&who, &visit.of, "impersonation.did", &detail).await
    }

    /// Ends a visit or link. Gives false when it had ended.
    pub async fn end(&self, of: &Impersonation, why: &str, by: Option<&By>) -> Result<bool> {
        let Admin { vault, sources, .. } = &self.admin;
        let mut tx = self.admin.begin().await?;
        let Some(session) = impersonations::end(&mut tx, vault, of.id, why, sources.now()).await? else { return Ok(false) };
        let who = by.map_or_else(system, By::who);
        let action = if of.opened_at.is_some() { "impersonation.end" } else { "impersonation.unused" };
        let detail = json!({ "odoo_user": &of.odoo_login, "why": why });
        audit_log::write(&mut tx, &who, Some(of.org), action, &about(of), &detail, sources).await?;
        tx.commit().await?;
        self.known.lock().retain(|_, (visit, _)| visit.of.id != of.id);
        let instance = self.registry.current().instance_by_id(of.org, of.instance).map(Arc::clone);
        // Nobody has the cookie but Odoo: what cannot be signed out now ends by itself there.
        if let Some(instance) = instance
            && !self.pages.sign_out(&instance, &session).await
        {
            tracing::warn!(slug = %instance.slug, "an Odoo session of a visit that has ended could not be signed out");
        }
        Ok(true)
    }
    /// The visitor has signed out.
    pub async fn leave(&self, visit: &Visit, address: IpAddr) -> Result<()> {
        let owner = users::find(&self.admin.db, visit.of.user).await?;
        let by = owner.map(|user| By::User { id: user.id, email: user.email, operator: user.operator, address });
        self.end(&visit.of, "signed out", by.as_ref()).await.map(drop)
    }

    /// Sessions of a person have ended, by signing out or otherwise: what they opened must not stay open behind them. Tries all of them.
    pub async fn leave_all(&self, user: UserId, by: &By) -> Result<()> {
        let open = impersonations::of_user(&self.admin.db, user).await?;
        let mut failed = None;
        for of in open {
            failed = failed.or(self.end(&of, "its person's session of ocore ended", Some(by)).await.err());
        }
        failed.map_or(Ok(()), Err)
    }

    /// Ends what is over. A job calls it; doing it twice is harmless.
    pub async fn sweep(&self) -> Result<()> {
        for of in impersonations::due(&self.admin.db, self.admin.sources.now()).await? {
            let why = if of.opened_at.is_some() { "its time was over" } else { "the link was not opened in time" };
            // One that cannot be ended must not keep the others.
            if let Err(fault) = self.end(&of, why, None).await {
                tracing::error!(id = %of.id, ?fault, "a visit that is over could not be ended");
            }
        }
        Ok(())
    }

    async fn note(&self, who: &Who, of: &Impersonation, action: &str, detail: &Value) -> Result<()> {
        let mut tx = self.admin.db.begin().await?;
        audit_log::write(&mut tx, who, Some(of.org), action, &about(of), detail, &self.admin.sources).await?;
        Ok(tx.commit().await?)
    }
}

/// The path at an instance's host name at which a visit begins; the text of [`Visits::open`] follows.
pub const ENTER: &str = "/.ocore/enter/";

fn person(signed: &Signed, address: IpAddr) -> By {
    By::User { id: signed.user, email: signed.email.clone(), operator: signed.operator, address }
}
fn system() -> Who {
    Who { kind: "system", id: None, name: "ocore".into(), address: None }
}
fn about(of: &Impersonation) -> Target {
    target("impersonation", of.id, of.odoo_login.as_str())
}

/// Methods that the web client calls and that change nothing.
const READS: [&str; 38] = [
    "read",
    "search",
    "search_read",
    "search_count",
    "web_read",
    "web_search_read",
    "web_read_group",
    "web_read_group_unity_information",
    "web_name_search",
    "read_group",
    "formatted_read_group",
    "formatted_read_grouping_sets",
    "read_progress_bar",
    "name_get",
    "name_search",
    "display_name",
    "default_get",
    "onchange",
    "onchange2",
    "fields_get",
    "get_view",
    "get_views",
    "load_views",
    "fields_view_get",
    "load_menus",
    "get_filters",
    "has_group",
    "has_access",
    "check_access_rights",
    "search_panel_select_range",
    "search_panel_select_multi_range",
    "get_activity_data",
    "systray_get_activities",
    "mail_data",
    "get_formview_id",
    "get_formview_action",
    "web_resequence_info",
    "get_field_translations",
];
/// The most of a call's body that is read to tell what it calls.
const READ: usize = 1 << 20;

/// What a call of the web client is: Odoo goes by the body, and not by the model and method that its path names as well.
#[derive(Deserialize)]
struct Called {
    params: Params,
}
#[derive(Deserialize)]
struct Params {
    model: String,
    method: String,
}

/// Of a request that may change something, what the log calls it: the model and method, or the path without numbers. None for reads.
async fn change(ask: &mut Ask) -> Option<String> {
    if matches!(ask.method.as_str(), "GET" | "HEAD" | "OPTIONS") {
        return None;
    }
    let path = ask.target.split('?').next().unwrap_or_default().to_owned();
    let segments: Vec<&str> = path.split('/').filter(|s| !s.is_empty()).collect();
    let kind = match segments.as_slice() {
        ["web", "dataset", "call_kw" | "call_button", ..] => match called(ask).await {
            Some(Params { method, .. }) if READS.contains(&method.as_str()) => return None,
            Some(Params { model, method }) => format!("{model}.{method}"),
            // Too large, or not as the web client writes it.
            None => "web.dataset.call".to_owned(),
        },
        ["web", "action", "load" | "load_breadcrumbs"]
        | ["web", "webclient" | "assets" | "bundle", ..]
        | ["web", "dataset", "search_read"]
        | ["web", "session", "get_session_info" | "check" | "modules"]
        | ["longpolling" | "websocket" | "bus", ..] => return None,
        all => all
            .iter()
            .take(4)
            .map(|s| if s.bytes().any(|b| b.is_ascii_digit()) { "…" } else { *s })
            .fold(String::new(), |path, segment| path + "/" + segment),
    };
    Some(kind.chars().filter(|c| !c.is_control()).take(120).collect())
}
/// Reads the body as far as it takes, and puts it back. A name that is there twice makes it unreadable: who reads the last is fooled.
async fn called(ask: &mut Ask) -> Option<Params> {
    let mut rest = std::mem::replace(&mut ask.body, Box::pin(stream::empty()));
    let (mut taken, mut size, mut whole) = (Vec::new(), 0, true);
    while let Some(part) = rest.next().await {
        size += part.as_ref().map_or(0, bytes::Bytes::len);
        whole = part.is_ok();
        taken.push(part);
        if size > READ || !whole {
            whole = false;
            break;
        }
    }
    let bytes: Vec<u8> = taken.iter().flatten().flat_map(|part| part.iter().copied()).collect();
    ask.body = Box::pin(stream::iter(taken).chain(rest));
    if !whole {
        return None;
    }
    serde_json::from_slice::<Called>(&bytes).ok().map(|called| called.params)
}

/// A link or visit, for lists.
#[derive(Debug, Clone)]
pub struct Listed {
    pub of: Impersonation,
    /// The slug of the instance.
    pub instance: String,
    /// The address of the person.
    pub person: String,
}

/// An organization's links and visits, newest first. Admins.
pub async fn list(admin: &Admin, by: &By, org: &str, limit: u32) -> Result<Vec<Listed>> {
    let mut tx = admin.db.begin_read().await?;
    let org = orgs::resolve(&mut tx, by, org, Role::Admin).await?.organization.id;
    tx.rollback().await?;
    let mut all = Vec::new();
    for of in impersonations::list(&admin.db, org, limit).await? {
        let instance = store::instances::find(&admin.db, org, of.instance).await?;
        let person = users::find(&admin.db, of.user).await?;
        all.push(Listed {
            instance: instance.map_or_else(String::new, |found| found.instance.slug.to_string()),
            person: person.map_or_else(String::new, |user| user.email),
            of,
        });
    }
    Ok(all)
}

/// Ends a link or visit of an organization. Admins. Odoo's own session is signed out too. Gives false when it had ended.
pub async fn end(admin: &Admin, by: &By, org: &str, id: ImpersonationId, pages: &Pages) -> Result<bool> {
    let mut tx = admin.begin().await?;
    let org = orgs::resolve(&mut tx, by, org, Role::Admin).await?.organization.id;
    let Some(of) = impersonations::find(&mut tx, org, id).await? else {
        return Err(refusal(Code::NotFound, "There is no such visit.").next("ocore impersonation list tells them.").into());
    };
    let why = "ended by an administrator";
    let Some(session) = impersonations::end(&mut tx, &admin.vault, of.id, why, admin.sources.now()).await? else {
        return Ok(false);
    };
    let detail = json!({ "odoo_user": &of.odoo_login, "why": why });
    admin.log(&mut tx, by, Some(org), "impersonation.end", about(&of), &detail).await?;
    tx.commit().await?;
    if let Some(instance) = store::instances::find(&admin.db, org, of.instance).await? {
        pages.sign_out(&instance.instance, &session).await;
    }
    Ok(true)
}
