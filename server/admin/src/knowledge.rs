//! What people see and do of an organization's knowledge. Viewers read it, members and above change it. What one of them writes as
//! a summary, or approves, may go into the descriptions of tools; what assistants write waits for that.
use kernel::{
    Code, InstanceId, KeyId, OrgId, Result, Role,
    knowledge::{MAX_BODY, MAX_NOTES, MAX_TITLE, Target, excerpt, full, line, tags, text},
    refusal,
};
use serde_json::json;
use store::{
    Tx, instances as store_instances,
    knowledge::{self, Added, At, Author},
};

pub use kernel::knowledge::TargetType;
pub use store::knowledge::{Bookmark, Filter, Note};

use crate::{Admin, By, instances, orgs, target, teach};

/// The longest page.
pub const MAX_PAGE: usize = 1_000;

/// Something with the slug of its instance.
#[derive(Debug, Clone)]
pub struct Of<T> {
    pub instance: String,
    pub it: T,
}

/// Which knowledge: of an organization, of one of its instances, or of an instance alone.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    /// A slug.
    pub org: Option<String>,
    /// A slug.
    pub instance: Option<String>,
}

/// What a person writes down.
#[derive(Debug, Clone)]
pub struct NewNote {
    /// The instance's slug.
    pub instance: String,
    pub target_type: TargetType,
    pub target: Option<String>,
    /// None for a summary, which has the title of its target.
    pub title: Option<String>,
    pub body: String,
    pub tags: Vec<String>,
    /// The one summary of an instance or model; its author stands for it.
    pub summary: bool,
}

/// What is none stays.
#[derive(Debug, Clone, Default)]
pub struct NoteUpdate {
    pub title: Option<String>,
    pub body: Option<String>,
    pub tags: Option<Vec<String>>,
}

/// The last changed first. With `waiting` only summaries that nobody stands for.
pub async fn notes(admin: &Admin, by: &By, scope: &Scope, waiting: bool) -> Result<Vec<Of<Note>>> {
    let mut tx = admin.db.begin_read().await?;
    let (org, instance) = resolve(&mut tx, by, scope).await?;
    let mut found = knowledge::notes(&mut tx, org, instance, MAX_PAGE).await?;
    if waiting {
        found.retain(|n| n.is_summary && n.approved.is_none());
    }
    named(&mut tx, org, found, |n| n.instance).await
}

/// One note, whole.
pub async fn show(admin: &Admin, by: &By, id: &str) -> Result<Of<Note>> {
    let mut tx = admin.db.begin_read().await?;
    let note = mine(&mut tx, by, id, Role::Viewer).await?;
    one(&mut tx, note.org, note, |n| n.instance).await
}

/// Adds a note, or sets a summary, for which its author then stands.
pub async fn add(admin: &Admin, by: &By, new: &NewNote) -> Result<Of<Note>> {
    let target_of = Target::parse(new.target_type, new.target.as_deref())?;
    let body = text("The text", &new.body, MAX_BODY)?;
    let tags = tags(&new.tags)?;
    let mut tx = admin.begin().await?;
    let instance = instances::resolve(&mut tx, by, &new.instance, Role::Member).await?.instance;
    let at = At { org: instance.org, instance: instance.id };
    let (author, sources) = (author(by), &admin.sources);
    let note = if new.summary {
        if !matches!(new.target_type, TargetType::Instance | TargetType::Model) {
            return Err(refusal(Code::InvalidArgument, "An instance or a model has a summary, nothing else.")
                .next("Leave the summary out to write a plain note.")
                .into());
        }
        if new.title.is_some() || !tags.is_empty() {
            return Err(refusal(Code::InvalidArgument, "A summary has the title and the tag of its target.")
                .next("Leave title and tags out.")
                .into());
        }
        match at.set_summary(&mut tx, &target_of, &body, &author, true, sources).await? {
            Added::Done((note, _)) => note,
            Added::Full(all) => return Err(no_room(&all).into()),
        }
    } else {
        let title = line("The title", new.title.as_deref().unwrap_or_default(), MAX_TITLE)?;
        if tags.iter().any(|t| t == kernel::knowledge::SUMMARY) {
            return Err(knowledge::not_by_hand().into());
        }
        let new = knowledge::NewNote { target: target_of, title, body, tags };
        match at.add_note(&mut tx, &new, &author, sources).await? {
            Added::Done(note) => note,
            Added::Full(all) => return Err(no_room(&all).into()),
        }
    };
    let action = if note.is_summary { "note.summarize" } else { "note.create" };
    log(admin, &mut tx, by, action, &note, &instance.slug).await?;
    tx.commit().await?;
    Ok(Of { instance: instance.slug.to_string(), it: note })
}

/// Changes what is given. Who changes a summary stands for the new text.
pub async fn edit(admin: &Admin, by: &By, id: &str, update: &NoteUpdate) -> Result<Of<Note>> {
    if update.title.is_none() && update.body.is_none() && update.tags.is_none() {
        return Err(refusal(Code::InvalidArgument, "Nothing to change is given.").next("Give a title, a text or tags.").into());
    }
    let mut tx = admin.begin().await?;
    let old = mine(&mut tx, by, id, Role::Member).await?;
    let change = knowledge::NoteChange {
        title: update.title.as_deref().map(|t| line("The title", t, MAX_TITLE)).transpose()?,
        body: update.body.as_deref().map(|b| text("The text", b, MAX_BODY)).transpose()?,
        tags: update.tags.as_ref().map(|t| tags(t).and_then(|t| old.retagged(t))).transpose()?,
    };
    let at = At { org: old.org, instance: old.instance };
    let rewritten = change.title.is_some() || change.body.is_some();
    let note = at.edit_note(&mut tx, &old.id, &change, &author(by), rewritten, &admin.sources).await?.ok_or_else(|| gone(id))?;
    let shown = one(&mut tx, old.org, note, |n| n.instance).await?;
    log(admin, &mut tx, by, "note.update", &shown.it, &shown.instance).await?;
    tx.commit().await?;
    Ok(shown)
}

/// Stands for the text of a summary, as it was read: another version by now is refused.
pub async fn approve(admin: &Admin, by: &By, id: &str, version: i64) -> Result<Of<Note>> {
    let mut tx = admin.begin().await?;
    let old = mine(&mut tx, by, id, Role::Member).await?;
    if !old.is_summary {
        return Err(refusal(Code::InvalidArgument, "Only summaries are approved: other notes go into no description of a tool.")
            .next("Write what matters into the summary of the instance or model.")
            .into());
    }
    let at = At { org: old.org, instance: old.instance };
    let approved = at.approve_note(&mut tx, &old.id, version, &by.who().name, admin.sources.now()).await?;
    let note = approved.ok_or_else(|| {
        refusal(Code::Conflict, format!("The text has changed: it is version {} now, not {version}.", old.version))
            .next("Read it again, then approve what you read.")
    })?;
    let shown = one(&mut tx, old.org, note, |n| n.instance).await?;
    log(admin, &mut tx, by, "note.approve", &shown.it, &shown.instance).await?;
    tx.commit().await?;
    Ok(shown)
}

/// Deletes a note for everybody.
pub async fn delete(admin: &Admin, by: &By, id: &str) -> Result<Of<Note>> {
    let mut tx = admin.begin().await?;
    let old = mine(&mut tx, by, id, Role::Member).await?;
    let at = At { org: old.org, instance: old.instance };
    if !at.delete_note(&mut tx, &old.id, admin.sources.now()).await? {
        return Err(gone(id).into());
    }
    let shown = one(&mut tx, old.org, old, |n| n.instance).await?;
    log(admin, &mut tx, by, "note.delete", &shown.it, &shown.instance).await?;
    tx.commit().await?;
    Ok(shown)
}

/// The most used first.
pub async fn filters(admin: &Admin, by: &By, scope: &Scope) -> Result<Vec<Of<Filter>>> {
    let mut tx = admin.db.begin_read().await?;
    let (org, instance) = resolve(&mut tx, by, scope).await?;
    let found = knowledge::filters(&mut tx, org, instance, MAX_PAGE).await?;
    named(&mut tx, org, found, |f| f.instance).await
}

/// Deletes a filter for everybody.
pub async fn delete_filter(admin: &Admin, by: &By, id: &str) -> Result<Of<Filter>> {
    let mut tx = admin.begin().await?;
    let found = knowledge::filter_anywhere(&mut tx, id).await?;
    let found = permitted(&mut tx, by, found, |f| f.org, Role::Member).await?;
    let filter = found.ok_or_else(|| teach::hidden("filter", id))?;
    let at = At { org: filter.org, instance: filter.instance };
    if !at.delete_filter(&mut tx, &filter.id, admin.sources.now()).await? {
        return Err(teach::hidden("filter", id).into());
    }
    let shown = one(&mut tx, filter.org, filter, |f| f.instance).await?;
    let detail = json!({"instance": shown.instance, "model": shown.it.model});
    admin.log(&mut tx, by, Some(shown.it.org), "filter.delete", target("filter", &shown.it.id, &shown.it.name), &detail).await?;
    tx.commit().await?;
    Ok(shown)
}

/// The newest first. A bookmark is a copy of an audit row: administrators see all, others those of their own keys.
pub async fn bookmarks(admin: &Admin, by: &By, scope: &Scope) -> Result<Vec<Of<Bookmark>>> {
    let mut tx = admin.db.begin_read().await?;
    let (org, instance) = resolve(&mut tx, by, scope).await?;
    let mut found = knowledge::bookmarks(&mut tx, org, instance, MAX_PAGE).await?;
    if let Some(keys) = own_keys(&mut tx, by, org).await? {
        found.retain(|b| keys.contains(&b.key));
    }
    named(&mut tx, org, found, |b| b.instance).await
}

/// Deletes a bookmark for everybody: administrators any, others those of their own keys.
pub async fn delete_bookmark(admin: &Admin, by: &By, id: &str) -> Result<Of<Bookmark>> {
    let mut tx = admin.begin().await?;
    let found = knowledge::bookmark_anywhere(&mut tx, id).await?;
    let mut found = permitted(&mut tx, by, found, |b| b.org, Role::Member).await?;
    if let Some(it) = &found
        && let Some(keys) = own_keys(&mut tx, by, it.org).await?
        && !keys.contains(&it.key)
    {
        found = None;
    }
    let bookmark = found.ok_or_else(|| teach::hidden("bookmark", id))?;
    let at = At { org: bookmark.org, instance: bookmark.instance };
    if !at.delete_bookmark(&mut tx, &bookmark.id, admin.sources.now()).await? {
        return Err(teach::hidden("bookmark", id).into());
    }
    let shown = one(&mut tx, bookmark.org, bookmark, |b| b.instance).await?;
    let detail = json!({"instance": shown.instance, "tool": shown.it.call.tool, "call": shown.it.call.id});
    admin
        .log(&mut tx, by, Some(shown.it.org), "bookmark.delete", target("bookmark", &shown.it.id, &shown.it.label), &detail)
        .await?;
    tx.commit().await?;
    Ok(shown)
}

// ---- whose it is

async fn resolve(tx: &mut Tx, by: &By, scope: &Scope) -> Result<(OrgId, Option<InstanceId>)> {
    let org = match &scope.org {
        Some(slug) => Some(orgs::resolve(&mut *tx, by, slug, Role::Viewer).await?.organization.id),
        None => None,
    };
    let Some(slug) = &scope.instance else {
        return org.map(|org| (org, None)).ok_or_else(|| {
            refusal(Code::InvalidArgument, "Nothing says whose knowledge.").next("Name the organization or the instance.").into()
        });
    };
    let instance = instances::resolve(&mut *tx, by, slug, Role::Viewer).await?.instance;
    if org.is_some_and(|org| org != instance.org) {
        return Err(teach::hidden("instance", slug).into());
    }
    Ok((instance.org, Some(instance.id)))
}
/// None when it does not exist for this person; refused when the role there is too small.
async fn permitted<T>(tx: &mut Tx, by: &By, found: Option<T>, org: impl Fn(&T) -> OrgId, least: Role) -> Result<Option<T>> {
    let Some(it) = found else { return Ok(None) };
    match by.role(&mut *tx, org(&it)).await? {
        None => Ok(None),
        Some(role) if role >= least => Ok(Some(it)),
        Some(role) => Err(refusal(Code::PermissionDenied, format!("Your role here is {role}; this takes {least} or more."))
            .next("Ask an administrator of the organization.")
            .into()),
    }
}
/// The keys of a person below an administrator; none for who sees all.
async fn own_keys(tx: &mut Tx, by: &By, org: OrgId) -> Result<Option<Vec<KeyId>>> {
    if by.role(&mut *tx, org).await?.is_some_and(|role| role >= Role::Admin) {
        return Ok(None);
    }
    let all = store::keys::list(&mut *tx, org).await?;
    Ok(Some(all.into_iter().filter(|k| k.owner.is_some() && k.owner == by.user()).map(|k| k.id).collect()))
}
async fn mine(tx: &mut Tx, by: &By, id: &str, least: Role) -> Result<Note> {
    let found = knowledge::note_anywhere(&mut *tx, id.trim()).await?;
    permitted(tx, by, found, |n| n.org, least).await?.ok_or_else(|| gone(id).into())
}
fn gone(id: &str) -> kernel::Refusal {
    teach::hidden("note", id)
}
async fn named<T>(tx: &mut Tx, org: OrgId, found: Vec<T>, of: impl Fn(&T) -> InstanceId) -> Result<Vec<Of<T>>> {
    let instances = store_instances::list(&mut *tx, org).await?;
    let slug =
        |id: InstanceId| instances.iter().find(|i| i.instance.id == id).map(|i| i.instance.slug.to_string()).unwrap_or_default();
    Ok(found.into_iter().map(|it| Of { instance: slug(of(&it)), it }).collect())
}
async fn one<T>(tx: &mut Tx, org: OrgId, it: T, of: impl Fn(&T) -> InstanceId) -> Result<Of<T>> {
    let instance = store_instances::find(&mut *tx, org, of(&it)).await?;
    Ok(Of { instance: instance.map(|i| i.instance.slug.to_string()).unwrap_or_default(), it })
}

fn author(by: &By) -> Author {
    let who = by.who();
    Author { kind: who.kind.to_owned(), id: who.id, name: who.name }
}
fn no_room(all: &[Note]) -> kernel::Refusal {
    let old: Vec<String> = all.iter().rev().take(3).map(|n| format!("{} \"{}\"", n.id, excerpt(&n.title, 60))).collect();
    full("notes", MAX_NOTES, &old)
}
async fn log(admin: &Admin, tx: &mut Tx, by: &By, action: &str, note: &Note, instance: &str) -> Result<()> {
    let detail =
        json!({"instance": instance, "about": note.target.words(), "version": note.version, "approved": note.approved.is_some()});
    admin.log(tx, by, Some(note.org), action, target("note", &note.id, &note.title), &detail).await
}

#[cfg(test)]
mod tests {
    use kernel::{Environment, Fault, Networks, Permissions, Refusal};
    use store::{
        testing::{TestStore, each_engine},
        vault::{KeySource, Vault},
    };

    use super::*;
    use crate::{
        instances::NewInstance,
        keys::{self, NewKey},
        servers::{self, NewServer},
        users::{self, NewUser},
    };

    fn host() -> By {
        By::Host { login: "root".into() }
    }
    async fn world(t: &TestStore) -> Admin {
        let admin = Admin {
            db: t.db.clone(),
            vault: Vault::open(t, KeySource::in_data_dir(t.dir.path()), &t.sources).await.unwrap(),
            sources: t.sources.clone(),
            networks: Networks::new(vec![]),
            calls_per_minute: 100,
            tools: vec!["search_read"],
        };
        for (org, slug) in [("acme", "prod"), ("globex", "theirs")] {
            orgs::create(&admin, &host(), org, org).await.unwrap();
            let server = NewServer { org: org.into(), name: "one".into(), docker: None, secret: None, path_roots: vec![] };
            servers::create(&admin, &host(), &server).await.unwrap();
            let new = NewInstance {
                org: org.into(),
                server: "one".into(),
                slug: slug.into(),
                name: None,
                url: "https://odoo.example.com/".into(),
                database: slug.into(),
                environment: Environment::Staging,
                write_enabled: None,
                login: None,
                postgres_url: None,
                postgres_ca: None,
                posthog: None,
                container: None,
                addons: Vec::new(),
                backups: None,
                concurrency: None,
            };
            instances::create(&admin, &host(), &new).await.unwrap();
        }
        admin
    }
    async fn person(a: &Admin, email: &str, org: &str, role: Role) -> By {
        let new = NewUser { email: email.into(), member: Some((org.into(), role)), password_hash: None, operator: false };
        let id = users::create(a, &host(), &new).await.unwrap().id;
        By::User { id, email: email.into(), operator: false, address: "192.0.2.7".parse().unwrap() }
    }
    fn note(summary: bool) -> NewNote {
        NewNote {
            instance: "prod".into(),
            target_type: TargetType::Model,
            target: Some("sale.order".into()),
            title: (!summary).then(|| "A title".into()),
            body: "A text".into(),
            tags: vec![],
            summary,
        }
    }
    fn at(org: &str) -> Scope {
        Scope { org: Some(org.into()), instance: None }
    }
    fn refused<T: std::fmt::Debug>(result: Result<T>) -> Refusal {
        match result {
            Err(Fault::Refused(refused)) => refused,
            other => panic!("not refused: {other:?}"),
        }
    }
    /// A summary as an assistant writes it.
    async fn by_key(a: &Admin, body: &str) -> Note {
        let mut tx = a.begin().await.unwrap();
        let instance = instances::resolve(&mut tx, &host(), "prod", Role::Viewer).await.unwrap().instance;
        let author = Author { kind: "key".into(), id: Some("k".into()), name: "claude".into() };
        let at = At { org: instance.org, instance: instance.id };
        let target = Target::model("sale.order").unwrap();
        let Added::Done((note, _)) = at.set_summary(&mut tx, &target, body, &author, false, &a.sources).await.unwrap() else {
            panic!()
        };
        tx.commit().await.unwrap();
        note
    }

    #[tokio::test]
    async fn viewers_read_and_members_write_in_their_own_organization() {
        each_engine(async |t| {
            let a = world(t).await;
            let viewer = person(&a, "v@example.com", "acme", Role::Viewer).await;
            let member = person(&a, "m@example.com", "acme", Role::Member).await;
            let stranger = person(&a, "s@example.com", "globex", Role::Owner).await;
            let made = add(&a, &member, &note(false)).await.unwrap();
            assert_eq!(
                (made.instance.as_str(), made.it.author.kind.as_str(), made.it.approved.is_none()),
                ("prod", "user", true)
            );
            let id = made.it.id.as_str();
            assert_eq!(notes(&a, &viewer, &at("acme"), false).await.unwrap().len(), 1);
            assert_eq!(show(&a, &viewer, id).await.unwrap().it.title, "A title");
            let update = NoteUpdate { title: Some("Ä".into()), ..NoteUpdate::default() };
            for code in [
                refused(add(&a, &viewer, &note(false)).await).code,
                refused(edit(&a, &viewer, id, &update).await).code,
                refused(delete(&a, &viewer, id).await).code,
            ] {
                assert_eq!(code, Code::PermissionDenied);
            }
            // For others it does not exist, and that is told in the same words.
            let unknown = refused(show(&a, &stranger, "01ARZ3NDEKTSV4RRFFQ69G5FAV").await);
            for theirs in [
                refused(show(&a, &stranger, id).await),
                refused(edit(&a, &stranger, id, &update).await),
                refused(delete(&a, &stranger, id).await),
                refused(approve(&a, &stranger, id, 1).await),
            ] {
                assert_eq!(theirs.message.replace(id, "X"), unknown.message.replace("01ARZ3NDEKTSV4RRFFQ69G5FAV", "X"));
            }
            assert_eq!(refused(notes(&a, &stranger, &at("acme"), false).await).code, Code::NotFound);
            assert_eq!(refused(add(&a, &stranger, &note(false)).await).code, Code::NotFound);
            let both = Scope { org: Some("globex".into()), instance: Some("prod".into()) };
            assert_eq!(refused(notes(&a, &host(), &both, false).await).code, Code::NotFound);
            assert_eq!(refused(notes(&a, &host(), &Scope::default(), false).await).code, Code::InvalidArgument);

            assert_eq!(edit(&a, &member, id, &update).await.unwrap().it.title, "Ä");
            assert_eq!(refused(approve(&a, &member, id, 2).await).code, Code::InvalidArgument, "it is no summary");
            delete(&a, &host(), id).await.unwrap();
            assert!(notes(&a, &viewer, &at("acme"), false).await.unwrap().is_empty());
            let log: Vec<String> =
                crate::audit::log(&a, &host(), Some("acme"), None, 100).await.unwrap().into_iter().map(|r| r.action).collect();
            for action in ["note.create", "note.update", "note.delete"] {
                assert_eq!(log.iter().filter(|l| *l == action).count(), 1, "{action} in {log:?}");
            }
        })
        .await;
    }

    #[tokio::test]
    async fn a_person_stands_for_the_text_that_was_read() {
        each_engine(async |t| {
            let a = world(t).await;
            let viewer = person(&a, "v@example.com", "acme", Role::Viewer).await;
            let member = person(&a, "m@example.com", "acme", Role::Member).await;
            let waiting = async || notes(&a, &viewer, &at("acme"), true).await.unwrap().len();
            let first = by_key(&a, "Harmless").await;
            assert_eq!(waiting().await, 1);
            assert_eq!(refused(approve(&a, &viewer, &first.id, 1).await).code, Code::PermissionDenied);
            // While the person read, an assistant wrote something else.
            let read = show(&a, &member, &first.id).await.unwrap().it;
            by_key(&a, "Harmful").await;
            assert_eq!(refused(approve(&a, &member, &first.id, read.version).await).code, Code::Conflict);
            assert_eq!(waiting().await, 1);
            let approved = approve(&a, &member, &first.id, 2).await.unwrap().it;
            assert_eq!(approved.approved.map(|(by, _)| by).as_deref(), Some("m@example.com"));
            assert_eq!(waiting().await, 0);
            by_key(&a, "Changed again").await;
            assert_eq!(waiting().await, 1);
            // What people write needs no second person, and tags are no text.
            let update = NoteUpdate { body: Some("By a person".into()), ..NoteUpdate::default() };
            assert!(edit(&a, &member, &first.id, &update).await.unwrap().it.approved.is_some());
            let tags = NoteUpdate { tags: Some(vec!["Eigen".into()]), ..NoteUpdate::default() };
            let tagged = edit(&a, &member, &first.id, &tags).await.unwrap().it;
            assert_eq!(
                (tagged.tags, tagged.version, tagged.approved.is_some()),
                (vec!["summary".into(), "eigen".into()], 4, true)
            );
            by_key(&a, "Once more").await;
            assert!(edit(&a, &member, &first.id, &tags).await.unwrap().it.approved.is_none(), "tagging approves nothing");
            assert!(add(&a, &member, &note(true)).await.unwrap().it.approved.is_some());
            assert_eq!(notes(&a, &viewer, &at("acme"), false).await.unwrap().len(), 1, "one summary, whoever wrote it");
            for bad in [
                NewNote { target_type: TargetType::Module, target: Some("sale".into()), ..note(true) },
                NewNote { title: Some("t".into()), ..note(true) },
                NewNote { tags: vec!["x".into()], ..note(true) },
                NewNote { tags: vec!["Summary".into()], ..note(false) },
                NewNote { title: None, ..note(false) },
                NewNote { body: "x".repeat(2_001), ..note(true) },
            ] {
                assert_eq!(refused(add(&a, &member, &bad).await).code, Code::InvalidArgument, "{bad:?}");
            }
        })
        .await;
    }

    #[tokio::test]
    async fn people_see_bookmarks_of_their_own_keys_and_administrators_all() {
        each_engine(async |t| {
            let a = world(t).await;
            let ann = person(&a, "ann@example.com", "acme", Role::Member).await;
            let bob = person(&a, "bob@example.com", "acme", Role::Member).await;
            let admin = person(&a, "admin@example.com", "acme", Role::Admin).await;
            let new = NewKey {
                org: "acme".into(),
                owner: Some("ann@example.com".into()),
                role: None,
                label: "ann's".into(),
                permissions: Permissions::all(),
                expires_at: None,
                prefix: "ock_abcd".into(),
                hash: [1; 32],
            };
            let key = keys::create(&a, &host(), &new).await.unwrap();
            let now = a.sources.now();
            let instance = store_instances::list(&a.db, key.org).await.unwrap()[0].instance.id;
            let held = "INSERT INTO knowledge (instance_id, org_id) VALUES ($1, $2)";
            a.db.execute(held, store::args![instance, key.org]).await.unwrap();
            let mark = "INSERT INTO bookmarks (id, org_id, instance_id, key_id, key_label, call_id, tool, arguments, state, summary, \
                        called_at, label, created_at) VALUES ('b1', $1, $2, $3, 'k', 'c', 'count', '{}', 'ok', '3', $4, 'Count', $4)";
            a.db.execute(mark, store::args![key.org, instance, key.id, now]).await.unwrap();
            let search = "INSERT INTO saved_filters (id, org_id, instance_id, name, name_key, model, domain, author_kind, author_name, \
                          created_at, updated_at) VALUES ('f1', $1, $2, 'f', 'f', 'res.partner', '[]', 'key', 'k', $3, $3)";
            a.db.execute(search, store::args![key.org, instance, now]).await.unwrap();
            for (by, sees) in [(&ann, 1), (&bob, 0), (&admin, 1), (&host(), 1)] {
                assert_eq!(bookmarks(&a, by, &at("acme")).await.unwrap().len(), sees, "{by:?}");
            }
            assert_eq!(refused(delete_bookmark(&a, &bob, "b1").await).code, Code::NotFound);
            delete_bookmark(&a, &ann, "b1").await.unwrap();
            let stranger = person(&a, "s@example.com", "globex", Role::Owner).await;
            let viewer = person(&a, "v@example.com", "acme", Role::Viewer).await;
            assert_eq!(filters(&a, &viewer, &at("acme")).await.unwrap()[0].instance, "prod");
            assert_eq!(refused(delete_filter(&a, &stranger, "f1").await).code, Code::NotFound);
            assert_eq!(refused(delete_filter(&a, &viewer, "f1").await).code, Code::PermissionDenied);
            delete_filter(&a, &bob, "f1").await.unwrap();
            assert!(filters(&a, &viewer, &at("acme")).await.unwrap().is_empty());
        })
        .await;
    }
}
