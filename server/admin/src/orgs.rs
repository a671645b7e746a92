//! Organizations.
use kernel::{Code, Result, Role, name, refusal};
use serde_json::{Value, json};
use store::{On, Tx, orgs};

pub use store::orgs::{OrgChange, OrgRow};

use crate::{Admin, By, taken, target, teach, title};

/// The organization of that slug, where the caller has at least that role. For who has none it does not exist.
pub(crate) async fn resolve(tx: &mut Tx, by: &By, slug: &str, least: Role) -> Result<OrgRow> {
    let found = orgs::by_slug(&mut *tx, slug).await?;
    let role = match &found {
        Some(org) => by.role(&mut *tx, org.organization.id).await?,
        None => None,
    };
    match (found, role) {
        (Some(org), Some(role)) if role >= least => Ok(org),
        (Some(_), Some(role)) => {
            Err(refusal(Code::PermissionDenied, format!("Your role here is {role}; this takes {least} or more."))
                .next("Ask an administrator of the organization.")
                .into())
        }
        _ if by.is_operator() => {
            let known = orgs::list(&mut *tx).await?;
            Err(teach::not_found("organization", slug, known.iter().map(|o| &*o.organization.slug)).into())
        }
        _ => Err(teach::hidden("organization", slug).into()),
    }
}

/// Operators alone.
pub async fn create(admin: &Admin, by: &By, slug: &str, title_text: &str) -> Result<OrgRow> {
    by.operator("create organizations")?;
    name::slug(slug)?;
    let called = title("The name of an organization", title_text, 200)?;
    let mut tx = admin.begin().await?;
    if orgs::by_slug(&mut tx, slug).await?.is_some() {
        return Err(refusal(Code::Conflict, format!("An organization with the slug \"{slug}\" exists."))
            .next("Choose another slug, or update that one.")
            .into());
    }
    let id = orgs::create(&mut tx, slug, &called, &admin.sources).await.map_err(taken("An organization with this slug"))?;
    admin.log(&mut tx, by, Some(id), "organization.create", target("organization", id, slug), &json!({ "name": called })).await?;
    let row = orgs::find(&mut tx, id).await?;
    tx.commit().await?;
    row.ok_or_else(|| teach::hidden("organization", slug).into())
}

/// All for operators, one's own for others.
pub async fn list(admin: &Admin, by: &By) -> Result<Vec<OrgRow>> {
    let mut all = orgs::list(&admin.db).await?;
    if let Some(user) = by.user().filter(|_| !by.is_operator()) {
        let mine = store::users::memberships(&admin.db, user).await?;
        all.retain(|o| mine.iter().any(|(org, _)| *org == o.organization.id));
    }
    Ok(all)
}

/// Kill switch, name, limits, retention. Administrators and owners; a retention below a week is the operator's.
pub async fn update(admin: &Admin, by: &By, slug: &str, mut change: OrgChange) -> Result<OrgRow> {
    if let Some(called) = change.name.take() {
        change.name = Some(title("The name of an organization", &called, 200)?);
    }
    range("max_records", change.max_records, 10, 10_000)?;
    range("max_search_limit", change.max_search_limit, 100, 50_000)?;
    range("audit_retention_days", change.audit_retention_days, 1, 3_650)?;
    if change.audit_retention_days.is_some_and(|days| days < 7) {
        by.operator("keep the audit for less than 7 days")?;
    }
    let mut tx = admin.begin().await?;
    let old = resolve(&mut tx, by, slug, Role::Admin).await?;
    let id = old.organization.id;
    orgs::update(&mut tx, id, &change, admin.sources.now()).await?;
    let new = orgs::find(On::Tx(&mut tx), id).await?.ok_or_else(|| teach::hidden("organization", slug))?;
    let detail = crate::instances::differences(&facts(&old), &facts(&new));
    admin.log(&mut tx, by, Some(id), "organization.update", target("organization", id, slug), &detail).await?;
    tx.commit().await?;
    Ok(new)
}

fn facts(row: &OrgRow) -> Value {
    let o = &row.organization;
    json!({
        "name": o.name,
        "kill_switch": o.kill_switch,
        "max_records": o.max_records,
        "max_search_limit": o.max_search_limit,
        "audit_retention_days": row.audit_retention_days,
        "without_resource": o.without_resource,
        "default_read_only": o.default_read_only,
    })
}

fn range(what: &str, value: Option<u32>, least: u32, most: u32) -> Result<()> {
    match value {
        Some(n) if !(least..=most).contains(&n) => {
            Err(refusal(Code::InvalidArgument, format!("{what} is {least} to {most}, not {n}.")).into())
        }
        _ => Ok(()),
    }
}
