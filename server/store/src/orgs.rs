//! Organizations: the tenants.
use kernel::{OrgId, Organization, Sources, Timestamp, resource::WithoutResource};

use crate::{
    On, Result, Row, Tx, args,
    events::{self, Change},
};

/// An organization with what only administration looks at.
#[derive(Debug, Clone)]
pub struct OrgRow {
    pub organization: Organization,
    pub audit_retention_days: u32,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}
impl OrgRow {
    fn read(row: &Row) -> Result<Self> {
        Ok(Self {
            organization: Organization {
                id: row.parsed("organizations.id")?,
                slug: row.text("organizations.slug")?.into(),
                name: row.text("organizations.name")?,
                kill_switch: row.bool("organizations.kill_switch")?,
                max_records: row.uint("organizations.max_records")?,
                max_search_limit: row.uint("organizations.max_search_limit")?,
                without_resource: row.parsed("organizations.without_resource")?,
                default_read_only: row.bool("organizations.default_read_only")?,
            },
            audit_retention_days: row.uint("organizations.audit_retention_days")?,
            created_at: row.time("organizations.created_at")?,
            updated_at: row.time("organizations.updated_at")?,
        })
    }
}

pub(crate) async fn rows(on: impl Into<On<'_>>) -> Result<Vec<Row>> {
    on.into().fetch_all("SELECT * FROM organizations ORDER BY slug", args![]).await
}
pub(crate) fn read(row: &Row) -> Result<OrgRow> {
    OrgRow::read(row)
}

/// All of them, by slug: for operators.
pub async fn list(on: impl Into<On<'_>>) -> Result<Vec<OrgRow>> {
    rows(on).await?.iter().map(OrgRow::read).collect()
}

pub async fn find(on: impl Into<On<'_>>, id: OrgId) -> Result<Option<OrgRow>> {
    let row = on.into().fetch_optional("SELECT * FROM organizations WHERE id = $1", args![id]).await?;
    row.as_ref().map(OrgRow::read).transpose()
}

pub async fn by_slug(on: impl Into<On<'_>>, slug: &str) -> Result<Option<OrgRow>> {
    let row = on.into().fetch_optional("SELECT * FROM organizations WHERE slug = $1", args![slug]).await?;
    row.as_ref().map(OrgRow::read).transpose()
}

/// # Errors
/// `Unique` when the slug is taken.
pub async fn create(tx: &mut Tx, slug: &str, name: &str, sources: &Sources) -> Result<OrgId> {
    let (id, now) = (OrgId::new(sources), sources.now());
    tx.execute(
        "INSERT INTO organizations (id, slug, name, created_at, updated_at) VALUES ($1, $2, $3, $4, $4)",
        args![id, slug, name, now],
    )
    .await?;
    events::write(tx, Change::Organization, Some(id), id, now).await?;
    Ok(id)
}

/// What to change; what is none stays.
#[derive(Debug, Clone, Default)]
pub struct OrgChange {
    pub name: Option<String>,
    pub kill_switch: Option<bool>,
    pub max_records: Option<u32>,
    pub max_search_limit: Option<u32>,
    pub audit_retention_days: Option<u32>,
    pub without_resource: Option<WithoutResource>,
    pub default_read_only: Option<bool>,
}

/// Gives false when there is no such organization.
pub async fn update(tx: &mut Tx, id: OrgId, change: &OrgChange, now: Timestamp) -> Result<bool> {
    let OrgChange { name, kill_switch, max_records, max_search_limit, audit_retention_days, without_resource, default_read_only } =
        change;
    let changed = tx
        .execute(
            "UPDATE organizations SET name = COALESCE($2, name), kill_switch = COALESCE($3, kill_switch), \
             max_records = COALESCE($4, max_records), max_search_limit = COALESCE($5, max_search_limit), \
             audit_retention_days = COALESCE($6, audit_retention_days), without_resource = COALESCE($7, without_resource), \
             default_read_only = COALESCE($8, default_read_only), updated_at = $9 WHERE id = $1",
            args![
                id,
                name.as_ref(),
                *kill_switch,
                *max_records,
                *max_search_limit,
                *audit_retention_days,
                without_resource.map(WithoutResource::as_str),
                *default_read_only,
                now
            ],
        )
        .await?;
    events::write(tx, Change::Organization, Some(id), id, now).await?;
    Ok(changed > 0)
}
