//! What organizations allow on models.
use kernel::{
    OrgId, ResourceId, Sources, Timestamp,
    resource::{FieldPolicy, ModelRule, Resource},
};

use crate::{
    On, Result, Row, StoreError, Tx, args,
    events::{self, Change},
};

fn read(row: &Row) -> Result<Resource> {
    Ok(Resource {
        id: row.parsed("resources.id")?,
        org: row.parsed("resources.org_id")?,
        instance: row.opt_parsed("resources.instance_id")?,
        company: row.opt_int("resources.company")?,
        model: row.text("resources.model")?,
        rule: row.json("resources.rule")?,
        created_at: row.time("resources.created_at")?,
        updated_at: row.time("resources.updated_at")?,
    })
}

/// For the registry. A rule that cannot be read may be a limit that this process does not know how to keep: it permits nothing, and
/// where it cannot be read to what it belongs it belongs to everything.
pub(crate) fn read_closed(row: &Row) -> Result<Resource> {
    read(row).or_else(|error| {
        let model = row.text("resources.model")?;
        tracing::error!(error = &error as &dyn std::error::Error, model, "a resource cannot be read; its model is refused");
        let never = Timestamp::default();
        Ok(Resource {
            id: row.parsed("resources.id").unwrap_or_else(|_| ResourceId::nil()),
            org: row.parsed("resources.org_id")?,
            instance: row.opt_parsed("resources.instance_id").unwrap_or(None),
            company: row.opt_int("resources.company").unwrap_or(None),
            model,
            rule: closed(),
            created_at: row.time("resources.created_at").unwrap_or(never),
            updated_at: row.time("resources.updated_at").unwrap_or(never),
        })
    })
}
fn closed() -> ModelRule {
    ModelRule {
        read_only: true,
        can_read: false,
        can_create: false,
        can_write: false,
        can_delete: false,
        fields: FieldPolicy::Allow(std::collections::BTreeSet::new()),
        filter: None,
    }
}

pub(crate) async fn rows(on: impl Into<On<'_>>) -> Result<Vec<Row>> {
    on.into().fetch_all("SELECT * FROM resources ORDER BY id", args![]).await
}

/// Those of one organization, by model.
pub async fn list(on: impl Into<On<'_>>, org: OrgId) -> Result<Vec<Resource>> {
    let rows = on.into().fetch_all("SELECT * FROM resources WHERE org_id = $1 ORDER BY model, id", args![org]).await?;
    rows.iter().map(read_closed).collect()
}

/// Whichever organization it is of: for operators, who name resources by their id alone.
pub async fn anywhere(on: impl Into<On<'_>>, id: ResourceId) -> Result<Option<Resource>> {
    let row = on.into().fetch_optional("SELECT * FROM resources WHERE id = $1", args![id]).await?;
    row.as_ref().map(read_closed).transpose()
}

/// # Errors
/// `Unique` when there is one for the same model, instance and company.
pub async fn create(tx: &mut Tx, new: &Resource) -> Result<()> {
    tx.execute(
        "INSERT INTO resources (id, org_id, instance_id, company, model, rule, created_at, updated_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $7)",
        args![new.id, new.org, new.instance, new.company, &new.model, text(&new.rule)?, new.created_at],
    )
    .await?;
    events::write(tx, Change::Resource, Some(new.org), new.id, new.created_at).await
}

/// Gives false when there is no such resource.
pub async fn update(tx: &mut Tx, org: OrgId, id: ResourceId, rule: &ModelRule, sources: &Sources) -> Result<bool> {
    let now = sources.now();
    let sql = "UPDATE resources SET rule = $3, updated_at = $4 WHERE org_id = $1 AND id = $2";
    let changed = tx.execute(sql, args![org, id, text(rule)?, now]).await? > 0;
    events::write(tx, Change::Resource, Some(org), id, now).await?;
    Ok(changed)
}

/// Gives false when there is no such resource.
pub async fn delete(tx: &mut Tx, org: OrgId, id: ResourceId, now: Timestamp) -> Result<bool> {
    let gone = tx.execute("DELETE FROM resources WHERE org_id = $1 AND id = $2", args![org, id]).await? > 0;
    events::write(tx, Change::Resource, Some(org), id, now).await?;
    Ok(gone)
}

fn text(rule: &ModelRule) -> Result<String> {
    serde_json::to_string(rule).map_err(|e| StoreError::corrupt("resources.rule", e))
}
