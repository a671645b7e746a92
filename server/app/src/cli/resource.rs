//! `ocore resource …`
use std::{collections::BTreeSet, sync::Arc, time::Duration};

use admin::{
    instances,
    resources::{self, NewResources, Resource, RuleChange},
};
use backends::{
    Scope,
    odoo::{OdooContext, Search},
};
use clap::{ArgAction, Args, Subcommand};
use kernel::{
    Code, Fault, Instance, InstanceId, Selection,
    resource::{FieldPolicy, Filter},
    time_text,
};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{Given, input::words, org::Switch};
use crate::{
    failure::{Failure, Result},
    terminal::{self, Shown},
    wiring::Base,
};

/// How long an Odoo may take to tell its fields.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Debug, Subcommand)]
pub enum Resources {
    /// Says what is allowed on models; several at once share one rule
    Add(Add),
    /// Lists the resources of an organization
    List {
        /// The organization
        #[arg(long, value_name = "SLUG")]
        org: String,
    },
    /// Shows one resource
    Show {
        /// The resource's id, as the list shows it
        id: String,
    },
    /// Changes a resource
    Update(Update),
    /// Deletes a resource: what it limited is limited no longer
    Delete {
        /// The resource's id, as the list shows it
        id: String,
    },
}

#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "flags of a command")]
pub struct Add {
    /// Odoo models, such as res.partner
    #[arg(required = true)]
    models: Vec<String>,
    /// The organization
    #[arg(long, value_name = "SLUG")]
    org: String,
    /// Only on this instance [default: all of them]
    #[arg(long, value_name = "SLUG")]
    instance: Option<String>,
    /// Only in this Odoo company, by id [default: all of them]
    #[arg(long, value_name = "ID")]
    company: Option<i64>,
    /// Nothing but reading [default: as the organization says]
    #[arg(long, overrides_with = "read_write")]
    read_only: bool,
    /// Reading and writing, even if new resources start read-only
    #[arg(long)]
    read_write: bool,
    /// No reading, and so nothing at all
    #[arg(long)]
    no_read: bool,
    /// No new records
    #[arg(long)]
    no_create: bool,
    /// No changes
    #[arg(long)]
    no_write: bool,
    /// No deletions
    #[arg(long)]
    no_delete: bool,
    #[command(flatten)]
    limits: Limits,
}

#[derive(Debug, Args)]
struct Limits {
    /// Shows these fields only
    #[arg(long, value_name = "A,B", conflicts_with = "fields_deny")]
    fields_allow: Option<String>,
    /// Hides these fields, and what is computed from them
    #[arg(long, value_name = "A,B")]
    fields_deny: Option<String>,
    /// Shows those records only that match a domain, in JSON or Python literals
    #[arg(long, value_name = "DOMAIN")]
    filter: Option<String>,
    /// Stores fields and filter without looking them up in Odoo
    #[arg(long)]
    no_check: bool,
}
impl Limits {
    fn fields(&self) -> Option<FieldPolicy> {
        let set = |list: &String| words(list).into_iter().collect::<BTreeSet<_>>();
        match (&self.fields_allow, &self.fields_deny) {
            (Some(list), _) => Some(FieldPolicy::Allow(set(list))),
            (None, Some(list)) => Some(FieldPolicy::Deny(set(list))),
            (None, None) => None,
        }
    }
    fn filter(&self) -> Result<Option<Filter>> {
        Ok(self.filter.as_deref().map(Filter::parse).transpose()?)
    }
}

#[derive(Debug, Args)]
pub struct Update {
    /// The resource's id, as the list shows it
    id: String,
    /// Nothing but reading
    #[arg(long, value_enum)]
    read_only: Option<Switch>,
    /// Reading
    #[arg(long, value_enum)]
    read: Option<Switch>,
    /// New records
    #[arg(long, value_enum)]
    create: Option<Switch>,
    /// Changes
    #[arg(long, value_enum)]
    write: Option<Switch>,
    /// Deletions
    #[arg(long, value_enum)]
    delete: Option<Switch>,
    #[command(flatten)]
    limits: Limits,
    /// Shows all fields
    #[arg(long, conflicts_with_all = ["fields_allow", "fields_deny"], action = ArgAction::SetTrue)]
    all_fields: bool,
    /// Shows all records
    #[arg(long, conflicts_with = "filter", action = ArgAction::SetTrue)]
    no_filter: bool,
}

impl Resources {
    pub async fn run(self, given: &Given) -> Result<Shown> {
        let (_, base) = given.open().await?;
        let shown = match self {
            Self::Add(add) => add.run(&base).await?,
            Self::List { org } => list(&base, &org).await?,
            Self::Show { id } => {
                let found = resources::show(&base.admin, &base.by, &id).await?;
                one(&base, &found, "", &[]).await?
            }
            Self::Update(update) => update.run(&base).await?,
            Self::Delete { id } => {
                let gone = resources::delete(&base.admin, &base.by, &id).await?;
                one(&base, &gone, "Deleted: ", &[]).await?
            }
        };
        base.close().await;
        Ok(shown)
    }
}

impl Add {
    async fn run(self, base: &Base) -> Result<Shown> {
        let no = |flag: bool| flag.then_some(false);
        let rule = RuleChange {
            read_only: if self.read_write { Some(false) } else { self.read_only.then_some(true) },
            can_read: no(self.no_read),
            can_create: no(self.no_create),
            can_write: no(self.no_write),
            can_delete: no(self.no_delete),
            fields: self.limits.fields(),
            filter: self.limits.filter()?.map(Some),
        };
        let mut notes = Vec::new();
        if rule.names_fields() && !self.limits.no_check {
            let all = instances::list(&base.admin, &base.by, Some(&self.org)).await?;
            let of = |i: &&Instance| self.instance.as_deref().is_none_or(|slug| *i.slug == *slug);
            for model in &self.models {
                notes.extend(examined(base, all.iter().map(|r| &r.instance).filter(of), model, &rule).await?);
            }
        }
        let new = NewResources { org: self.org, instance: self.instance, company: self.company, models: self.models, rule };
        let made = resources::create(&base.admin, &base.by, &new).await?;
        let lines: Vec<String> =
            made.iter().map(|r| format!("{}: {}.", r.model, described(r))).chain(notes.iter().cloned()).collect();
        let mut values = Vec::new();
        for resource in &made {
            let mut value = json(base, resource).await?;
            if let Some(object) = value.as_object_mut() {
                object.insert("notes".into(), json!(notes));
            }
            values.push(value);
        }
        Ok(Shown::new(format!("{}\nIn force within 30 seconds everywhere.", lines.join("\n")), values.into()))
    }
}

impl Update {
    async fn run(self, base: &Base) -> Result<Shown> {
        let on = |switch: Option<Switch>| switch.map(|s| s == Switch::On);
        let change = RuleChange {
            read_only: on(self.read_only),
            can_read: on(self.read),
            can_create: on(self.create),
            can_write: on(self.write),
            can_delete: on(self.delete),
            fields: if self.all_fields { Some(FieldPolicy::All) } else { self.limits.fields() },
            filter: if self.no_filter { Some(None) } else { self.limits.filter()?.map(Some) },
        };
        let nothing = [change.read_only, change.can_read, change.can_create, change.can_write, change.can_delete]
            .iter()
            .all(Option::is_none)
            && change.fields.is_none()
            && change.filter.is_none();
        if nothing {
            return Err(
                Failure::usage("Nothing to change was named.").next("Add --read-only on|off, --filter or another option.")
            );
        }
        let old = resources::show(&base.admin, &base.by, &self.id).await?;
        let mut notes = Vec::new();
        if change.names_fields() && !self.limits.no_check {
            let all = everywhere(base, &old).await?;
            notes = examined(base, all.iter(), &old.model, &change).await?;
        }
        let new = resources::update(&base.admin, &base.by, &self.id, &change).await?;
        one(base, &new, "", &notes).await
    }
}

/// The instances that a resource is about.
async fn everywhere(base: &Base, resource: &Resource) -> Result<Vec<Instance>> {
    let all = instances::list(&base.admin, &base.by, None).await?;
    let mine = |i: &Instance| i.org == resource.org && resource.instance.is_none_or(|id| id == i.id);
    Ok(all.into_iter().map(|row| row.instance).filter(mine).collect())
}

/// Looks fields and filter up in every Odoo that is concerned. What one does not know is an error; what cannot be reached is noted.
pub(super) async fn examined<'a>(
    base: &Base,
    concerned: impl Iterator<Item = &'a Instance>,
    model: &str,
    rule: &RuleChange,
) -> Result<Vec<String>> {
    let pool = base.pool();
    let (mut notes, mut reached) = (Vec::new(), false);
    for instance in concerned {
        let scope = Scope {
            models: Selection::All,
            methods: BTreeSet::new(),
            companies: Selection::All,
            lifts: &[],
            restricted: false,
            rules: None,
            max_records: 1,
            max_search_limit: 1,
        };
        let checked = async {
            let until = Instant::now() + PATIENCE;
            let reader = pool.reader(Arc::new(instance.clone()), Arc::new(scope), OdooContext::default(), until)?;
            if let Some(FieldPolicy::Allow(fields) | FieldPolicy::Deny(fields)) = &rule.fields {
                let known = reader.fields(model).await?;
                // A credential is none of the fields that are seen, and may be named all the same.
                let unknown: Vec<String> = fields.iter().filter(|f| *f != "id" && known.get(f).is_none()).cloned().collect();
                match reader.check_fields(model, &unknown).await {
                    Err(fault) if fault.code() != Code::FieldDenied => return Err(fault),
                    _ => {}
                }
            }
            if let Some(Some(filter)) = &rule.filter {
                let search =
                    Search { model: model.to_owned(), domain: Value::Array(filter.terms().to_vec()), ..Search::default() };
                reader.check_search(&search, true).await?;
                reader.check_filter(model, filter).await?;
                reader.search_count(model, &search.domain, Some(1)).await?;
            }
            Ok::<_, Fault>(())
        };
        match checked.await {
            Ok(()) => reached = true,
            Err(fault)
                if matches!(fault.code(), Code::InvalidArgument | Code::FieldDenied | Code::OdooError | Code::NotFound) =>
            {
                let told = fault.public();
                return Err(Failure::usage(format!("{}: {}", instance.slug, told.message)).next(
                    format!("{} Nothing was stored; --no-check stores it without this check.", told.next).trim().to_owned(),
                ));
            }
            Err(_) => notes.push(format!("{} could not be asked whether it knows these fields.", instance.slug)),
        }
    }
    if !reached && notes.is_empty() {
        notes.push("There is no instance to ask whether it knows these fields.".to_owned());
    }
    Ok(notes)
}

async fn list(base: &Base, org: &str) -> Result<Shown> {
    let found = resources::list(&base.admin, &base.by, org).await?;
    let known = instances::list(&base.admin, &base.by, Some(org)).await?;
    let slug = |id: InstanceId| {
        known.iter().find(|r| r.instance.id == id).map_or_else(|| id.to_string(), |r| r.instance.slug.to_string())
    };
    let rows: Vec<Vec<String>> = found
        .iter()
        .map(|r| {
            vec![
                r.id.to_string(),
                r.model.clone(),
                r.instance.map_or_else(|| "(all)".into(), slug),
                r.company.map_or_else(|| "(all)".into(), |c| c.to_string()),
                described(r),
            ]
        })
        .collect();
    let text = terminal::table(
        &["ID", "MODEL", "INSTANCE", "COMPANY", "ALLOWS"],
        &rows,
        "There is no resource yet. Make one: ocore resource add MODEL --org SLUG",
    );
    let mut values = Vec::new();
    for resource in &found {
        values.push(json(base, resource).await?);
    }
    Ok(Shown::new(text, values.into()))
}

async fn one(base: &Base, resource: &Resource, before: &str, notes: &[String]) -> Result<Shown> {
    let mut value = json(base, resource).await?;
    if let Some(object) = value.as_object_mut() {
        object.insert("notes".into(), json!(notes));
    }
    let lines: Vec<String> =
        [format!("{before}{}: {}.", resource.model, described(resource))].into_iter().chain(notes.iter().cloned()).collect();
    Ok(Shown::new(lines.join("\n"), value))
}

/// What a rule allows, in one line.
fn described(resource: &Resource) -> String {
    let rule = &resource.rule;
    let mut parts: Vec<String> = Vec::new();
    if !rule.can_read {
        return "nothing".to_owned();
    }
    let writes: Vec<&str> = [(rule.can_create, "create"), (rule.can_write, "write"), (rule.can_delete, "delete")]
        .into_iter()
        .filter_map(|(may, word)| (may && !rule.read_only).then_some(word))
        .collect();
    parts.push(if writes.is_empty() { "read only".to_owned() } else { format!("read, {}", writes.join(", ")) });
    let list = |fields: &BTreeSet<String>| fields.iter().cloned().collect::<Vec<_>>().join(", ");
    match &rule.fields {
        FieldPolicy::All => {}
        FieldPolicy::Allow(fields) => parts.push(format!("fields {}", list(fields))),
        FieldPolicy::Deny(fields) => parts.push(format!("fields but {}", list(fields))),
    }
    if let Some(filter) = &rule.filter {
        parts.push(format!("records that match {filter}"));
    }
    parts.join("; ")
}

async fn json(base: &Base, resource: &Resource) -> Result<Value> {
    let slug = match resource.instance {
        None => None,
        Some(id) => {
            let all = instances::list(&base.admin, &base.by, None).await?;
            all.into_iter().find(|row| row.instance.id == id).map(|row| row.instance.slug.to_string())
        }
    };
    Ok(json!({
        "id": resource.id.to_string(),
        "model": resource.model,
        "instance": slug,
        "company": resource.company,
        "rule": resource.rule,
        "created_at": time_text(resource.created_at),
        "updated_at": time_text(resource.updated_at),
    }))
}
