//! Modules: what Odoo knows of them, and the operations on them that dedicated tools alone may run.
//!
//! Odoo installs, upgrades and removes modules in many transactions within one request. A failure half way leaves some modules done
//! and some marked, and an answer may get lost although the work goes on: so an operation tells how Odoo answered and nothing more,
//! and whoever asked reads the states afterwards.
use std::collections::{BTreeMap, BTreeSet};

use kernel::{Code, Fault, Refusal, refusal};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    Reader, Result, Writer,
    dialect::{self, Arg, Context, Request},
    error::{Failure, Kind, OdooError, scrub},
    schema::nearest,
    users::{one, one_name, text},
};

const MODULES: &str = "ir.module.module";
const DEPENDENCIES: &str = "ir.module.module.dependency";
const CATEGORIES: &str = "ir.module.category";
const DATA: &str = "ir.model.data";
const VIEWS: &str = "ir.ui.view";
/// More than the largest installation has of modules, their dependencies, or what modules have brought along.
const MOST_ROWS: u64 = 50_000;
/// Views that were made by hand and are looked at for fields that go away.
const MOST_VIEWS: u64 = 500;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModuleOperation {
    Install,
    Upgrade,
    Uninstall,
}
impl ModuleOperation {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Install => "install",
            Self::Upgrade => "upgrade",
            Self::Uninstall => "uninstall",
        }
    }
    const fn method(self) -> &'static str {
        match self {
            Self::Install => "button_immediate_install",
            Self::Upgrade => "button_immediate_upgrade",
            Self::Uninstall => "button_immediate_uninstall",
        }
    }
}

/// How Odoo answered an operation. What became of the modules is told by their states alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModuleEnd {
    Answered,
    /// A scheduled action is running: nothing was begun.
    ScheduledAction,
    /// Odoo works on modules already, not by ocore: nothing was begun.
    OtherOperation,
    /// In Odoo's words, without a traceback.
    Failed(String),
    /// No answer came: it may go on.
    Lost(String),
}

/// A module as far as an operation is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModuleState {
    pub id: i64,
    pub name: String,
    pub title: String,
    /// uninstallable, uninstalled, installed, to upgrade, to remove, to install.
    pub state: String,
    /// In the database; none while it is not installed.
    pub version: Option<String>,
    pub auto_install: bool,
    /// When Odoo last wrote the row, `YYYY-MM-DD HH:MM:SS` in UTC.
    pub written: String,
}
impl ModuleState {
    /// To be installed, upgraded or removed at the next load of Odoo's registry.
    pub fn marked(&self) -> bool {
        self.state.starts_with("to ")
    }
    /// Whether its code and data are in the database.
    pub fn present(&self) -> bool {
        matches!(self.state.as_str(), "installed" | "to upgrade" | "to remove")
    }
}

/// A module as it is listed.
#[derive(Debug, Clone)]
pub struct ModuleDetails {
    pub name: String,
    pub title: String,
    pub state: String,
    /// In the database.
    pub version: Option<String>,
    /// Of the files, as the server's process read them.
    pub disk_version: Option<String>,
    pub category: Option<i64>,
    pub author: String,
    pub summary: String,
    pub application: bool,
}

/// What [`Reader::module_details`] looks for; none and empty mean all.
#[derive(Debug, Clone, Default)]
pub struct ModuleFilter {
    pub names: Vec<String>,
    pub states: Vec<String>,
    pub categories: Option<Vec<i64>>,
    /// Part of a name, title or summary.
    pub search: Option<String>,
}
impl ModuleFilter {
    fn domain(&self) -> Value {
        let mut terms: Vec<Value> = Vec::new();
        if !self.names.is_empty() {
            terms.push(json!(["name", "in", self.names]));
        }
        if !self.states.is_empty() {
            terms.push(json!(["state", "in", self.states]));
        }
        if let Some(categories) = &self.categories {
            terms.push(json!(["category_id", "in", categories]));
        }
        if let Some(search) = &self.search {
            terms.extend([json!("|"), json!("|")]);
            terms.extend(["name", "shortdesc", "summary"].map(|field| json!([field, "ilike", search])));
        }
        Value::Array(terms)
    }
}

/// One line of a module's dependencies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModuleLink {
    /// Which module needs another.
    pub module: i64,
    /// The other's name; Odoo may know no such module.
    pub needs: String,
    /// Whether the module installs itself once this one is there.
    pub triggers: bool,
}

#[derive(Debug, Clone)]
pub struct ModuleCategory {
    pub id: i64,
    pub name: String,
    pub parent: Option<i64>,
}

/// What goes away with modules.
#[derive(Debug, Clone, Default)]
pub struct Belongings {
    pub models: Vec<LostModel>,
    /// `model.field` of models that stay, as far as they hold something.
    pub fields: Vec<String>,
    /// External ids.
    pub views: Vec<String>,
    /// Views that stay and stop working.
    pub broken: Vec<BrokenView>,
}
#[derive(Debug, Clone)]
pub struct LostModel {
    pub model: String,
    pub name: String,
    pub records: u64,
}
#[derive(Debug, Clone)]
pub struct BrokenView {
    pub id: i64,
    pub name: String,
    pub model: String,
    pub why: String,
}

/// A module that Odoo does not know, with the nearest names.
pub fn unknown_module(name: &str, known: &[ModuleState]) -> Refusal {
    let near = nearest(name, known.iter().map(|m| m.name.as_str()));
    let next = if near.is_empty() {
        "list_modules names the modules that Odoo knows.".to_owned()
    } else {
        format!("Did you mean {}? list_modules names all.", near.join(", "))
    };
    refusal(Code::NotFound, format!("Odoo knows no module {name} here.")).next(next)
}

/// Reads need the rights of Settings; the operations those of Access Rights, which Settings imply.
fn lacking(reader: &Reader, what: &str) -> Refusal {
    let login = reader.instance().rpc.as_ref().map(|rpc| rpc.login.as_str()).unwrap_or_default();
    refusal(Code::OdooError, format!("Odoo does not let the user {login} {what}."))
        .next("An administrator of Odoo gives that user the group Administration / Settings (base.group_system).")
}

/// A module operation is run and read in English: Odoo's reasons are told apart by their words. en_US needs no installed language.
fn english() -> Context {
    Context { lang: Some("en_US".to_owned()), ..Context::default() }
}

/// Odoo's words with the paths of modules' files within their modules, and nothing else of the host.
fn reason(error: &OdooError) -> String {
    let within = |message: &str| -> String {
        message
            .split_inclusive(char::is_whitespace)
            .map(|word| {
                let parts: Vec<&str> = word.split('/').collect();
                match parts.iter().rposition(|p| *p == "addons" || p.ends_with("-addons") || p.ends_with("_addons")) {
                    Some(at) if word.starts_with('/') => parts.get(at + 1..).unwrap_or_default().join("/"),
                    _ => word.to_owned(),
                }
            })
            .collect()
    };
    let said = scrub(&within(&error.message));
    let cause = error.cause.as_deref().map(|c| scrub(&within(c))).filter(|c| !c.is_empty() && !said.contains(c.as_str()));
    match (said.is_empty(), cause) {
        (false, Some(cause)) => format!("{said} ({cause})"),
        (false, None) => said,
        (true, Some(cause)) => cause,
        (true, None) => "Odoo gave no reason.".to_owned(),
    }
}

impl Reader {
    async fn modules_fault(&self, failure: Failure, model: &str, method: &str) -> Fault {
        match failure {
            Failure::Odoo(error) if matches!(error.kind, Kind::Access | Kind::AccessDenied) => {
                lacking(self, "read modules and what belongs to them").into()
            }
            other => self.tell(other, model, method).await,
        }
    }
    async fn module_rows<T: serde::de::DeserializeOwned>(
        &self,
        model: &str,
        domain: &Value,
        fields: &[&str],
        order: &str,
    ) -> Result<Vec<T>> {
        self.scope().readable(model)?;
        match self.find(model, domain, fields, order, MOST_ROWS).await {
            Ok(rows) => Ok(rows),
            Err(failure) => Err(self.modules_fault(failure, model, "search_read").await),
        }
    }

    /// All modules that Odoo knows, by name.
    pub async fn module_states(&self) -> Result<Vec<ModuleState>> {
        #[derive(Deserialize)]
        struct Row {
            id: i64,
            name: Value,
            shortdesc: Value,
            state: Value,
            latest_version: Value,
            #[serde(default)]
            auto_install: bool,
            write_date: Value,
        }
        let fields = ["name", "shortdesc", "state", "latest_version", "auto_install", "write_date"];
        let rows: Vec<Row> = self.module_rows(MODULES, &json!([]), &fields, "name").await?;
        Ok(rows
            .into_iter()
            .map(|row| ModuleState {
                id: row.id,
                name: text(&row.name),
                title: text(&row.shortdesc),
                state: text(&row.state),
                version: filled(&row.latest_version),
                auto_install: row.auto_install,
                written: text(&row.write_date),
            })
            .collect())
    }

    /// A page of modules by name, with what Odoo reads from their files, and how many there are in all.
    pub async fn module_details(&self, filter: &ModuleFilter, limit: u64, offset: u64) -> Result<(Vec<ModuleDetails>, u64)> {
        #[derive(Deserialize)]
        struct Row {
            name: Value,
            shortdesc: Value,
            state: Value,
            latest_version: Value,
            installed_version: Value,
            category_id: Value,
            author: Value,
            summary: Value,
            #[serde(default)]
            application: bool,
        }
        self.scope().readable(MODULES)?;
        let domain = filter.domain();
        let args = [Arg::Value(&domain)];
        let fields = [
            "name",
            "shortdesc",
            "state",
            "latest_version",
            "installed_version",
            "category_id",
            "author",
            "summary",
            "application",
        ];
        let kwargs = [
            ("fields", Arg::Words(&fields)),
            ("offset", Arg::Number(offset)),
            ("limit", Arg::Number(limit)),
            ("order", Arg::Text("name")),
        ];
        let request = Request {
            model: MODULES,
            method: "search_read",
            ids: None,
            args: &args,
            kwargs: &kwargs,
            context: self.sent(),
            write: false,
        };
        let rows: Vec<Row> = match self.send(&request).await {
            Ok(rows) => rows,
            Err(failure) => return Err(self.modules_fault(failure, MODULES, "search_read").await),
        };
        let request = Request { method: "search_count", kwargs: &[], ..request };
        let total: u64 = self.send_or_tell(&request).await?;
        let details = rows
            .into_iter()
            .map(|row| ModuleDetails {
                name: text(&row.name),
                title: text(&row.shortdesc).trim().to_owned(),
                state: text(&row.state),
                version: filled(&row.latest_version),
                disk_version: filled(&row.installed_version),
                category: one(&row.category_id),
                author: text(&row.author),
                summary: text(&row.summary).trim().to_owned(),
                application: row.application,
            })
            .collect();
        Ok((details, total))
    }

    /// Who needs whom, of all modules.
    pub async fn module_links(&self) -> Result<Vec<ModuleLink>> {
        #[derive(Deserialize)]
        struct Row {
            name: Value,
            module_id: Value,
            #[serde(default)]
            auto_install_required: bool,
        }
        let fields = ["name", "module_id", "auto_install_required"];
        let rows: Vec<Row> = self.module_rows(DEPENDENCIES, &json!([]), &fields, "id").await?;
        Ok(rows
            .into_iter()
            .filter_map(|row| {
                Some(ModuleLink { module: one(&row.module_id)?, needs: text(&row.name), triggers: row.auto_install_required })
            })
            .collect())
    }

    /// Modules that install themselves in some countries only, and are for none of this database's companies.
    pub async fn modules_of_other_countries(&self) -> Result<BTreeSet<i64>> {
        #[derive(Deserialize)]
        struct Row {
            id: i64,
            country_ids: Vec<i64>,
        }
        #[derive(Deserialize)]
        struct Company {
            country_id: Value,
        }
        if self.schema(MODULES).await?.fields.get("country_ids").is_none() {
            return Ok(BTreeSet::new());
        }
        let domain = json!([["country_ids", "!=", false]]);
        let rows: Vec<Row> = self.module_rows(MODULES, &domain, &["country_ids"], "id").await?;
        let companies: Vec<Company> = self.module_rows("res.company", &json!([]), &["country_id"], "id").await?;
        let ours: BTreeSet<i64> = companies.iter().filter_map(|c| one(&c.country_id)).collect();
        Ok(rows.into_iter().filter(|row| !row.country_ids.iter().any(|c| ours.contains(c))).map(|row| row.id).collect())
    }

    pub async fn module_categories(&self) -> Result<Vec<ModuleCategory>> {
        #[derive(Deserialize)]
        struct Row {
            id: i64,
            name: Value,
            parent_id: Value,
        }
        let rows: Vec<Row> = self.module_rows(CATEGORIES, &json!([]), &["name", "parent_id"], "id").await?;
        Ok(rows
            .into_iter()
            .map(|row| ModuleCategory { id: row.id, name: text(&row.name), parent: one(&row.parent_id) })
            .collect())
    }
    /// The category and the state of each module.
    pub async fn modules_by_category(&self) -> Result<Vec<(Option<i64>, String)>> {
        #[derive(Deserialize)]
        struct Row {
            category_id: Value,
            state: Value,
        }
        let rows: Vec<Row> = self.module_rows(MODULES, &json!([]), &["category_id", "state"], "id").await?;
        Ok(rows.into_iter().map(|row| (one(&row.category_id), text(&row.state))).collect())
    }

    /// The installed modules that would be removed with these, by Odoo's own reckoning; without them.
    pub async fn modules_that_go_along(&self, ids: &[i64]) -> Result<Vec<i64>> {
        self.scope().readable(MODULES)?;
        let request = Request {
            model: MODULES,
            method: "downstream_dependencies",
            ids: Some(ids),
            args: &[],
            kwargs: &[],
            context: self.sent(),
            write: false,
        };
        match self.send::<Vec<i64>>(&request).await {
            Ok(found) => Ok(found.into_iter().filter(|id| !ids.contains(id)).collect()),
            Err(failure) => Err(self.modules_fault(failure, MODULES, "downstream_dependencies").await),
        }
    }

    /// The first Python package or program that a module asks for and Odoo's host does not have. The outer none means that this
    /// version of Odoo does not tell before it installs.
    pub async fn missing_package(&self, module: &ModuleState) -> Result<Option<Option<String>>> {
        self.scope().readable(MODULES)?;
        if !dialect::tells_missing_packages(self.version().await?) {
            return Ok(None);
        }
        let ids = [module.id];
        let args = [Arg::Text(&module.name)];
        let context = english();
        let request = Request {
            model: MODULES,
            method: "check_external_dependencies",
            ids: Some(&ids),
            args: &args,
            kwargs: &[],
            context: &context,
            write: false,
        };
        match self.send::<Value>(&request).await {
            Ok(_) => Ok(Some(None)),
            Err(Failure::Odoo(error)) if error.kind == Kind::User => Ok(Some(Some(scrub(&error.message)))),
            // By JSON-2 the method's argument may have another name: the installation itself tells then.
            Err(Failure::Odoo(error)) if matches!(error.kind, Kind::Signature | Kind::NotFound | Kind::Value) => Ok(None),
            Err(failure) => Err(self.modules_fault(failure, MODULES, "check_external_dependencies").await),
        }
    }

    /// The modules without which Odoo serves no request: they are never removed.
    pub async fn modules_that_odoo_stands_on(&self) -> Result<&'static [&'static str]> {
        Ok(dialect::server_wide_modules(self.version().await?))
    }

    /// Models, fields and views that go away when all of these modules are removed, and views that stay and stop working.
    pub async fn module_belongings(&self, modules: &[&str]) -> Result<Belongings> {
        #[derive(Deserialize)]
        struct Row {
            module: String,
            name: String,
            model: String,
            res_id: i64,
        }
        #[derive(Deserialize)]
        struct ModelRow {
            model: String,
            name: Value,
            #[serde(default)]
            transient: bool,
            #[serde(default)]
            count: u64,
        }
        #[derive(Deserialize)]
        struct FieldRow {
            model: String,
            name: String,
            #[serde(default)]
            store: bool,
        }
        let kinds = ["ir.model", "ir.model.fields", VIEWS];
        let domain = json!([["module", "in", modules], ["model", "in", kinds]]);
        let rows: Vec<Row> = self.module_rows(DATA, &domain, &["module", "name", "model", "res_id"], "id").await?;
        let ids_of = |kind: &str| -> BTreeSet<i64> { rows.iter().filter(|r| r.model == kind).map(|r| r.res_id).collect() };
        let mut lost: BTreeMap<&str, BTreeSet<i64>> = kinds.into_iter().map(|kind| (kind, ids_of(kind))).collect();
        // What a module that stays has a hand in stays.
        for (kind, ids) in &mut lost {
            let domain = json!([["model", "=", kind], ["res_id", "in", ids], ["module", "not in", modules]]);
            let others: Vec<Row> = self.module_rows(DATA, &domain, &["module", "name", "model", "res_id"], "id").await?;
            for other in others.iter().filter(|o| !of_people(&o.module)) {
                ids.remove(&other.res_id);
            }
        }
        let lost_of = |kind: &str| lost.get(kind).cloned().unwrap_or_default();
        let (model_ids, field_ids, view_ids) = (lost_of("ir.model"), lost_of("ir.model.fields"), lost_of(VIEWS));

        let domain = json!([["id", "in", model_ids]]);
        let models: Vec<ModelRow> =
            self.module_rows("ir.model", &domain, &["model", "name", "transient", "count"], "model").await?;
        let gone: BTreeSet<String> = models.iter().map(|m| m.model.clone()).collect();
        let mut models: Vec<LostModel> = models
            .into_iter()
            .filter(|m| !m.transient)
            .map(|m| LostModel { name: text(&m.name), records: m.count, model: m.model })
            .collect();
        models.sort_by(|a, b| b.records.cmp(&a.records).then_with(|| a.model.cmp(&b.model)));

        let domain = json!([["id", "in", field_ids]]);
        let fields: Vec<FieldRow> =
            self.module_rows("ir.model.fields", &domain, &["model", "name", "store"], "model, name").await?;
        let fields: Vec<FieldRow> = fields.into_iter().filter(|f| !gone.contains(&f.model)).collect();
        let stored = fields.iter().filter(|f| f.store).map(|f| format!("{}.{}", f.model, f.name)).collect();
        let names: Vec<(String, String)> = fields.into_iter().map(|f| (f.model, f.name)).collect();
        let mut views: Vec<String> = rows
            .iter()
            .filter(|r| r.model == VIEWS && view_ids.contains(&r.res_id))
            .map(|r| format!("{}.{}", r.module, r.name))
            .collect();
        views.sort();
        let broken = self.broken_views(&view_ids, &gone, &names).await?;
        Ok(Belongings { models, fields: stored, views, broken })
    }
    async fn broken_views(
        &self,
        lost: &BTreeSet<i64>,
        models: &BTreeSet<String>,
        fields: &[(String, String)],
    ) -> Result<Vec<BrokenView>> {
        #[derive(Deserialize)]
        struct Row {
            id: i64,
            name: Value,
            model: Value,
            inherit_id: Value,
            arch_db: Value,
        }
        #[derive(Deserialize)]
        struct Known {
            module: String,
            res_id: i64,
        }
        let known: Vec<Known> = self.module_rows(DATA, &json!([["model", "=", VIEWS]]), &["module", "res_id"], "id").await?;
        let known: BTreeSet<i64> = known.into_iter().filter(|k| !of_people(&k.module)).map(|k| k.res_id).collect();
        self.scope().readable(VIEWS)?;
        // Views of modules that stay depend on nothing that goes: only what people made can break.
        let domain = json!([["id", "not in", known]]);
        let rows: Vec<Row> =
            self.find_or_tell(VIEWS, &domain, &["name", "model", "inherit_id", "arch_db"], "id", MOST_VIEWS).await?;
        let mut broken = Vec::new();
        for row in rows {
            let (model, arch) = (text(&row.model), text(&row.arch_db));
            let why = if models.contains(&model) {
                format!("its model {model} goes away")
            } else if one(&row.inherit_id).is_some_and(|id| lost.contains(&id)) {
                format!("it extends the view {}, which goes away", one_name(&row.inherit_id).unwrap_or_default())
            } else {
                let named = |f: &str| [format!("name=\"{f}\""), format!("name='{f}'")].iter().any(|n| arch.contains(n.as_str()));
                match fields.iter().find(|(m, f)| *m == model && named(f)) {
                    Some((m, f)) => format!("it shows {m}.{f}, which goes away"),
                    None => continue,
                }
            };
            broken.push(BrokenView { id: row.id, name: text(&row.name), model, why });
        }
        Ok(broken)
    }
}

impl Writer {
    /// Has Odoo look for modules in its addons paths.
    pub async fn scan_modules(&self) -> Result<()> {
        self.scope().writable(MODULES)?;
        let context = english();
        let request =
            Request { model: MODULES, method: "update_list", ids: None, args: &[], kwargs: &[], context: &context, write: true };
        match self.send::<serde::de::IgnoredAny>(&request).await {
            Ok(_) => Ok(()),
            Err(failure) => Err(self.modules_fault(failure, MODULES, "update_list").await),
        }
    }

    /// Runs an operation in one request, which may take minutes.
    ///
    /// # Errors
    /// When nothing was sent, or Odoo denies the right.
    pub async fn operate_modules(&self, operation: ModuleOperation, ids: &[i64], until: Instant) -> Result<ModuleEnd> {
        self.scope().writable(MODULES)?;
        let context = english();
        let request = Request {
            model: MODULES,
            method: operation.method(),
            ids: Some(ids),
            args: &[],
            kwargs: &[],
            context: &context,
            write: true,
        };
        match self.send_until::<serde::de::IgnoredAny>(&request, until).await {
            Ok(_) => Ok(ModuleEnd::Answered),
            Err(Failure::Odoo(error)) => match error.kind {
                Kind::AccessDenied => Err(lacking(self, "install, upgrade or remove modules").into()),
                Kind::User if error.message.contains("processing a scheduled action") => Ok(ModuleEnd::ScheduledAction),
                Kind::User if error.message.contains("processing another module operation") => Ok(ModuleEnd::OtherOperation),
                _ => Ok(ModuleEnd::Failed(reason(&error))),
            },
            Err(Failure::Fault(Fault::Unknown { message, .. }) | Failure::Again(Fault::Unknown { message, .. })) => {
                Ok(ModuleEnd::Lost(message.into_owned()))
            }
            Err(Failure::Fault(fault) | Failure::Again(fault)) => Err(fault),
        }
    }

    /// Takes marks away that nobody works on any more, as Odoo does after a failure: what was to be installed is uninstalled again,
    /// what was to be upgraded or removed is installed. Marked modules stop every scheduled action.
    pub async fn clear_module_marks(&self, marked: &[ModuleState]) -> Result<()> {
        self.scope().writable(MODULES)?;
        let of = |state: &str| -> Vec<i64> { marked.iter().filter(|m| m.state == state).map(|m| m.id).collect() };
        let all_at_once = dialect::resets_module_states(self.version().await?);
        let groups = if all_at_once {
            vec![("button_reset_state", None)]
        } else {
            [
                ("button_install_cancel", "to install"),
                ("button_upgrade_cancel", "to upgrade"),
                ("button_uninstall_cancel", "to remove"),
            ]
            .into_iter()
            .map(|(method, state)| (method, Some(of(state))))
            .filter(|(_, ids)| ids.as_ref().is_some_and(|ids| !ids.is_empty()))
            .collect()
        };
        let context = english();
        for (method, ids) in groups {
            let request =
                Request { model: MODULES, method, ids: ids.as_deref(), args: &[], kwargs: &[], context: &context, write: true };
            if let Err(failure) = self.send::<serde::de::IgnoredAny>(&request).await {
                return Err(self.modules_fault(failure, MODULES, method).await);
            }
        }
        Ok(())
    }
}

/// Whether an external id was given by an export, an import or Studio, and by no module on the disk.
fn of_people(module: &str) -> bool {
    module.starts_with("__") || module == "studio_customization"
}

/// None for Odoo's false and for nothing.
fn filled(value: &Value) -> Option<String> {
    Some(text(value)).filter(|t| !t.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(message: &str, cause: Option<&str>) -> OdooError {
        OdooError { kind: Kind::Other, message: message.to_owned(), cause: cause.map(str::to_owned) }
    }

    #[test]
    fn a_reason_names_the_file_within_the_module_and_no_path_of_the_host() {
        let told = reason(&error(
            "while parsing /mnt/extra-addons/shop/views/cart.xml:3, somewhere inside\n<record/>",
            Some("ValueError: Invalid field 'x' on model 'res.partner'"),
        ));
        assert_eq!(
            told,
            "while parsing shop/views/cart.xml:3, somewhere inside\n<record/> (ValueError: Invalid field 'x' on model 'res.partner')"
        );
        assert_eq!(reason(&error("/usr/lib/python3/dist-packages/odoo/addons/base/x.xml", None)), "base/x.xml");
        assert!(!reason(&error("no /srv/secret/place here", None)).contains("/srv"));
        assert_eq!(reason(&error("", None)), "Odoo gave no reason.");
    }

    #[test]
    fn a_filter_becomes_a_domain() {
        let filter = ModuleFilter { states: vec!["installed".into()], search: Some("sale".into()), ..ModuleFilter::default() };
        assert_eq!(
            filter.domain(),
            json!([
                ["state", "in", ["installed"]],
                "|",
                "|",
                ["name", "ilike", "sale"],
                ["shortdesc", "ilike", "sale"],
                ["summary", "ilike", "sale"]
            ])
        );
        assert_eq!(ModuleFilter::default().domain(), json!([]));
    }
}
