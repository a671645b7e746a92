//! Resources: what an organization allows on a model, on all of its instances or on one, in all of Odoo's companies or in one.
//! Administrators alone see and change them: a filter tells what it hides.
use kernel::{
    Code, Refusal, ResourceId, Result, Role, name, refusal,
    resource::{FieldPolicy, Filter, ModelRule},
};
use serde_json::{Value, json};
use store::{Tx, resources};

pub use kernel::resource::Resource;

use crate::{
    Admin, By, instances, orgs, taken, target,
    teach::{self, Checked},
};

/// The most models that one call makes resources for.
const MOST_AT_ONCE: usize = 500;
/// The most resources of an organization.
const MOST: usize = 5_000;

/// What to say of a rule; what is none stays, or is as a new rule has it.
#[derive(Debug, Clone, Default)]
pub struct RuleChange {
    pub read_only: Option<bool>,
    pub can_read: Option<bool>,
    pub can_create: Option<bool>,
    pub can_write: Option<bool>,
    pub can_delete: Option<bool>,
    pub fields: Option<FieldPolicy>,
    /// An inner none takes the filter away.
    pub filter: Option<Option<Filter>>,
}
impl RuleChange {
    fn onto(&self, old: ModelRule) -> ModelRule {
        ModelRule {
            read_only: self.read_only.unwrap_or(old.read_only),
            can_read: self.can_read.unwrap_or(old.can_read),
            can_create: self.can_create.unwrap_or(old.can_create),
            can_write: self.can_write.unwrap_or(old.can_write),
            can_delete: self.can_delete.unwrap_or(old.can_delete),
            fields: self.fields.clone().unwrap_or(old.fields),
            filter: self.filter.clone().unwrap_or(old.filter),
        }
    }
    /// Whether it speaks of a model's own fields.
    pub fn names_fields(&self) -> bool {
        self.fields.as_ref().is_some_and(|f| !f.is_all()) || matches!(self.filter, Some(Some(_)))
    }
}

#[derive(Debug, Clone)]
pub struct NewResources {
    /// The organization's slug.
    pub org: String,
    /// None means all instances, those to come included.
    pub instance: Option<String>,
    /// An Odoo company's id; none means all companies.
    pub company: Option<i64>,
    /// One resource each.
    pub models: Vec<String>,
    /// Read-only or not is as the organization has it when this does not say.
    pub rule: RuleChange,
}

/// Makes all of them or none. Administrators.
pub async fn create(admin: &Admin, by: &By, new: &NewResources) -> Result<Vec<Resource>> {
    if new.models.is_empty() || new.models.len() > MOST_AT_ONCE {
        return Err(refusal(Code::InvalidArgument, format!("Name 1 to {MOST_AT_ONCE} models.")).into());
    }
    if new.models.len() > 1 && new.rule.names_fields() {
        return Err(refusal(Code::InvalidArgument, "Fields and a filter are one model's.")
            .next("Name one model, or leave fields and filter out and set them afterwards.")
            .into());
    }
    for model in &new.models {
        name::identifier("model", model)?;
    }
    company(new.company)?;
    let now = admin.sources.now();
    let mut tx = admin.begin().await?;
    let org = orgs::resolve(&mut tx, by, &new.org, Role::Admin).await?.organization;
    let instance = match &new.instance {
        None => None,
        Some(slug) => {
            let found = instances::resolve(&mut tx, by, slug, Role::Admin).await?.instance;
            // Another organization's, of which the caller may be an administrator too.
            if found.org != org.id {
                return Err(teach::hidden("instance", slug).into());
            }
            Some(found.id)
        }
    };
    let known = resources::list(&mut tx, org.id).await?;
    if known.len() + new.models.len() > MOST {
        return Err(refusal(Code::Conflict, format!("An organization has at most {MOST} resources.")).into());
    }
    let rule = new.rule.onto(ModelRule { read_only: org.default_read_only, ..ModelRule::open() });
    rule.fields.check()?;
    let mut made = Vec::new();
    for model in &new.models {
        if made.iter().any(|r: &Resource| r.model == *model) {
            continue;
        }
        if let Some(old) = known.iter().find(|r| r.model == *model && r.instance == instance && r.company == new.company) {
            return Err(refusal(Code::Conflict, format!("There is a resource for {model} there already."))
                .next(format!("Change it: ocore resource update {}", old.id))
                .into());
        }
        let resource = Resource {
            id: ResourceId::new(&admin.sources),
            org: org.id,
            instance,
            company: new.company,
            model: model.clone(),
            rule: rule.clone(),
            created_at: now,
            updated_at: now,
        };
        resources::create(&mut tx, &resource).await.map_err(taken("A resource for this model"))?;
        let detail = facts(&resource);
        admin.log(&mut tx, by, Some(org.id), "resource.create", target("resource", resource.id, model), &detail).await?;
        made.push(resource);
    }
    tx.commit().await?;
    Ok(made)
}

/// Those of one organization, by model. Administrators.
pub async fn list(admin: &Admin, by: &By, org: &str) -> Result<Vec<Resource>> {
    let mut tx = admin.db.begin_read().await?;
    let org = orgs::resolve(&mut tx, by, org, Role::Admin).await?.organization;
    Ok(resources::list(&mut tx, org.id).await?)
}

/// One, by its id. Administrators.
pub async fn show(admin: &Admin, by: &By, id: &str) -> Result<Resource> {
    let mut tx = admin.db.begin_read().await?;
    resolve(&mut tx, by, id).await
}

/// Administrators.
pub async fn update(admin: &Admin, by: &By, id: &str, change: &RuleChange) -> Result<Resource> {
    let mut tx = admin.begin().await?;
    let old = resolve(&mut tx, by, id).await?;
    let rule = change.onto(old.rule.clone());
    rule.fields.check()?;
    resources::update(&mut tx, old.org, old.id, &rule, &admin.sources).await?;
    let new = resources::anywhere(&mut tx, old.id).await?.ok_or_else(|| teach::hidden("resource", id))?;
    let detail = instances::differences(&facts(&old), &facts(&new));
    admin.log(&mut tx, by, Some(old.org), "resource.update", target("resource", old.id, &old.model), &detail).await?;
    tx.commit().await?;
    Ok(new)
}

/// What it limited is limited no longer, unless the organization refuses models without a resource. Administrators.
pub async fn delete(admin: &Admin, by: &By, id: &str) -> Result<Resource> {
    let mut tx = admin.begin().await?;
    let old = resolve(&mut tx, by, id).await?;
    resources::delete(&mut tx, old.org, old.id, admin.sources.now()).await?;
    let detail = facts(&old);
    admin.log(&mut tx, by, Some(old.org), "resource.delete", target("resource", old.id, &old.model), &detail).await?;
    tx.commit().await?;
    Ok(old)
}

async fn resolve(tx: &mut Tx, by: &By, id: &str) -> Result<Resource> {
    let unknown = || -> Refusal {
        teach::hidden("resource", id).next("Resources are named by their id, as the list of resources shows it.")
    };
    let parsed: ResourceId = id.trim().to_ascii_uppercase().parse().map_err(|_| unknown())?;
    let found = resources::anywhere(&mut *tx, parsed).await?.ok_or_else(unknown)?;
    match by.role(&mut *tx, found.org).await? {
        Some(role) if role >= Role::Admin => Ok(found),
        _ => Err(unknown().into()),
    }
}

fn company(id: Option<i64>) -> Checked<()> {
    match id {
        Some(id) if id < 1 => Err(refusal(Code::InvalidArgument, format!("{id} is no company's id."))),
        _ => Ok(()),
    }
}

fn facts(resource: &Resource) -> Value {
    json!({
        "model": resource.model,
        "instance": resource.instance.map(|id| id.to_string()),
        "company": resource.company,
        "rule": resource.rule,
    })
}
