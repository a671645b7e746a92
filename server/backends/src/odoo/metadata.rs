//! What Odoo knows of a model beside its fields: constraints, relations, views and methods.
//!
//! It stands in technical models (`ir.model.constraint`, `ir.model.fields`, `ir.ui.view`) that no restricted key has in its list
//! and few users of Odoo may read. So each verb checks that the caller may read the model asked about, asks the technical model in
//! its stead, and passes on what concerns that model alone. What this credential may not read becomes a note that names the group.
use std::collections::{BTreeMap, BTreeSet, HashMap};

use futures_util::future::BoxFuture;
use kernel::{Code, Fault, OdooVersion, refusal};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};

use super::{
    Field, Reader, Result,
    arch::{Inner, Node, mentions},
    dialect::{self, Arg, Request},
    error::{Failure, Kind, scrub},
    modules::unknown_module,
    schema::Schema,
    users::{one, one_name, text},
};
use crate::scope::is_credential;

const CONSTRAINTS: &str = "ir.model.constraint";
const FIELDS: &str = "ir.model.fields";
const VIEWS: &str = "ir.ui.view";
const MODULES: &str = "ir.module.module";
const DEPENDENCIES: &str = "ir.module.module.dependency";
const EXCLUSIONS: &str = "ir.module.module.exclusion";
/// More than any model has constraints, relations or views.
const MOST_ROWS: u64 = 5_000;
/// Views within views whose fields are looked up.
const DEEPEST_VIEW: usize = 6;

/// What PostgreSQL holds for a model's table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Constraint {
    pub name: String,
    /// check, unique, exclude, foreign_key, index, unique_index or other.
    pub kind: &'static str,
    /// As the module wrote it; foreign keys have none.
    pub definition: Option<String>,
    /// What a person reads when it is violated.
    pub message: Option<String>,
    /// The technical name, or the title where Odoo tells no more.
    pub module: Option<String>,
    /// Of a foreign key: the model's field.
    pub field: Option<String>,
    /// Of a foreign key: the model that it leads to.
    pub references: Option<String>,
    /// Of a foreign key: set null, restrict or cascade.
    pub on_delete: Option<String>,
}
#[derive(Debug, Clone, Default)]
pub struct Constraints {
    pub constraints: Vec<Constraint>,
    /// Stored fields that may not be empty.
    pub required: Vec<String>,
    pub notes: Vec<String>,
}

/// A field that leads to other records.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Relation {
    pub field: String,
    pub kind: String,
    pub label: String,
    /// None for references, which lead to any model.
    pub model: Option<String>,
    pub required: bool,
    pub stored: bool,
    /// The other model's fields that lead back.
    pub inverse: Vec<String>,
    /// Of a many2many: its table, the column of this model and that of the other.
    pub table: Option<[String; 3]>,
    pub on_delete: Option<String>,
    /// Whether this key may use the other model.
    pub usable: bool,
}
#[derive(Debug, Clone, Default)]
pub struct Relations {
    pub relations: Vec<Relation>,
    pub notes: Vec<String>,
}

/// A view with all that extends it put in.
#[derive(Debug, Clone, Default)]
pub struct View {
    /// As this Odoo calls it: list is tree up to 17.
    pub kind: &'static str,
    /// None where no view is defined and Odoo makes one up.
    pub id: Option<i64>,
    /// None where it cannot be read.
    pub arch: Option<String>,
    /// Bytes of the whole architecture, where `arch` is cut.
    pub cut_from: Option<usize>,
    pub notes: Vec<String>,
}
/// One record of `ir.ui.view`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ViewRecord {
    pub id: i64,
    pub name: String,
    pub kind: String,
    pub xml_id: Option<String>,
    pub priority: i64,
    pub inherits: Option<i64>,
    /// An extension is put into the view that it inherits; a primary one is a view of its own.
    pub extension: bool,
    pub active: bool,
}

/// A public method as Odoo documents it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Method {
    pub name: String,
    pub signature: String,
    /// model (called without records), readonly.
    pub api: Vec<String>,
    /// Where it is defined; `core` is Odoo's own base.
    pub model: String,
    pub module: String,
    pub doc: String,
    /// By name, in order: type and explanation.
    pub parameters: Vec<(String, String, String)>,
    pub returns: String,
    pub raises: Vec<String>,
}

/// What Odoo keeps of a module's manifest.
#[derive(Debug, Clone, Default)]
pub struct Manifest {
    pub module: String,
    pub title: String,
    pub summary: String,
    pub description: String,
    pub author: String,
    pub maintainer: String,
    pub contributors: String,
    pub website: String,
    pub license: String,
    pub category: String,
    pub state: String,
    /// In the database; none while it is not installed.
    pub version: Option<String>,
    /// Of the files, as the server's process read them.
    pub disk_version: Option<String>,
    pub application: bool,
    pub auto_install: bool,
    /// Installed with demonstration data.
    pub demo: bool,
    /// With the state of each; none where Odoo knows no such module.
    pub depends: Vec<(String, Option<String>)>,
    pub excludes: Vec<String>,
    pub notes: Vec<String>,
}

fn filled(value: &Value) -> Option<String> {
    Some(text(value)).filter(|t| !t.is_empty())
}

/// Which group of Odoo reads a technical model.
fn group_of(model: &str) -> &'static str {
    match model {
        VIEWS | MODULES | DEPENDENCIES | EXCLUSIONS => "Administration / Settings (base.group_system)",
        _ => "Administration / Access Rights (base.group_erp_manager)",
    }
}

/// Rows, or the sentence why this credential gets none.
enum Told<T> {
    Rows(Vec<T>),
    Not(String),
}
impl<T> Told<T> {
    /// The rows; why there are none goes to the notes.
    fn or_note(self, notes: &mut Vec<String>, what: &str) -> Vec<T> {
        match self {
            Self::Rows(rows) => rows,
            Self::Not(why) => {
                notes.push(format!("{what}: {why}"));
                Vec::new()
            }
        }
    }
}

#[derive(Deserialize)]
struct FieldRow {
    model: String,
    name: String,
    ttype: String,
    #[serde(default)]
    relation_field: Value,
    #[serde(default)]
    relation_table: Value,
    #[serde(default)]
    column1: Value,
    #[serde(default)]
    column2: Value,
    #[serde(default)]
    on_delete: Value,
}
impl FieldRow {
    fn table(&self) -> Option<[String; 3]> {
        Some([filled(&self.relation_table)?, filled(&self.column1)?, filled(&self.column2)?])
    }
}

impl Reader {
    /// Asks a technical model about what the caller was found to be permitted.
    async fn technical<T: DeserializeOwned>(&self, model: &str, domain: &Value, fields: &[&str], order: &str) -> Result<Told<T>> {
        match self.find(model, domain, fields, order, MOST_ROWS).await {
            Ok(rows) => Ok(Told::Rows(rows)),
            Err(Failure::Odoo(error)) if matches!(error.kind, Kind::Access | Kind::AccessDenied) => {
                let login = self.instance().rpc.as_ref().map(|rpc| rpc.login.as_str()).unwrap_or_default();
                let group = group_of(model);
                Ok(Told::Not(format!("Odoo shows {model} to the group {group}, which the user {login} does not have.")))
            }
            Err(failure) => Err(self.tell(failure, model, "search_read").await),
        }
    }
    /// What ir.model.fields tells of a model's relations.
    async fn relation_rows(&self, model: &str) -> Result<Told<FieldRow>> {
        let domain = json!([["model", "=", model], ["ttype", "in", ["many2one", "one2many", "many2many"]]]);
        let fields = ["model", "name", "ttype", "relation_field", "relation_table", "column1", "column2", "on_delete"];
        self.technical(FIELDS, &domain, &fields, "name").await
    }
    /// The technical names of modules by id; fewer, or none, where this credential may not know.
    async fn module_names(&self, ids: &BTreeSet<i64>) -> Result<HashMap<i64, String>> {
        #[derive(Deserialize)]
        struct Row {
            id: i64,
            name: String,
        }
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        match self.technical::<Row>(MODULES, &json!([["id", "in", ids]]), &["name"], "id").await? {
            Told::Rows(rows) => Ok(rows.into_iter().map(|row| (row.id, row.name)).collect()),
            Told::Not(_) => Ok(HashMap::new()),
        }
    }

    // ---- constraints

    /// What PostgreSQL checks for a model, and which of its fields may not be empty.
    pub async fn model_constraints(&self, model: &str) -> Result<Constraints> {
        #[derive(Deserialize)]
        struct Row {
            name: String,
            #[serde(default)]
            definition: Value,
            #[serde(default)]
            message: Value,
            #[serde(default, rename = "type")]
            kind: Value,
            #[serde(default)]
            module: Value,
        }
        let schema = self.schema(model).await?;
        let mut notes = Vec::new();
        let required = schema.fields.0.iter().filter(|(_, f)| f.required && f.store).map(|(n, _)| n.clone()).collect();
        let domain = json!([["model.model", "=", model]]);
        let fields = ["name", "definition", "message", "type", "module"];
        let rows: Vec<Row> = self
            .technical(CONSTRAINTS, &domain, &fields, "name")
            .await?
            .or_note(&mut notes, "The constraints of the table are not told");
        if rows.is_empty() {
            return Ok(Constraints { constraints: Vec::new(), required, notes });
        }
        let links = self.relation_rows(model).await?.or_note(&mut notes, "What foreign keys do on deletion is not told");
        let modules = self.module_names(&rows.iter().filter_map(|row| one(&row.module)).collect()).await?;
        let (mut constraints, mut hidden) = (Vec::new(), 0_usize);
        for row in rows {
            let definition = filled(&row.definition);
            let mut constraint = Constraint {
                kind: kind_of(&text(&row.kind), definition.as_deref()),
                definition,
                message: filled(&row.message),
                module: one(&row.module).and_then(|id| modules.get(&id).cloned()).or_else(|| one_name(&row.module)),
                name: row.name,
                ..Constraint::default()
            };
            if constraint.kind == "foreign_key" {
                let known = self.foreign_key(model, &mut constraint, &schema, &links);
                // A table between two models bears the other's name.
                if !known && self.scope().restricted {
                    hidden += 1;
                    continue;
                }
            }
            let names_secret = |of: &Option<String>| of.as_deref().is_some_and(|t| mentions(t, &schema.withheld));
            if names_secret(&constraint.definition) {
                hidden += 1;
                continue;
            }
            constraints.push(constraint);
        }
        if hidden > 0 {
            notes.push(format!("{hidden} more concern credentials, or models that this key may not use."));
        }
        constraints.sort_by_key(|c| (order_of(c.kind), c.name.clone()));
        Ok(Constraints { constraints, required, notes })
    }
    /// Finds the field behind a foreign key, which Odoo names after table and column; false when it is none that may be shown.
    fn foreign_key(&self, model: &str, key: &mut Constraint, schema: &Schema, links: &[FieldRow]) -> bool {
        let Some(stem) = key.name.strip_suffix("_fkey") else { return false };
        let table = model.replace('.', "_");
        if let Some(column) = stem.strip_prefix(&format!("{table}_"))
            && let Some(field) = schema.fields.get(column)
            && field.r#type == "many2one"
        {
            key.field = Some(column.to_owned());
            key.references.clone_from(&field.relation);
            key.on_delete = links.iter().find(|l| l.name == column).and_then(|l| filled(&l.on_delete));
            return true;
        }
        let link = links.iter().find_map(|l| {
            let [table, mine, other] = l.table()?;
            let column = stem.strip_prefix(&format!("{table}_"))?;
            (column == mine || column == other).then_some((l, column == mine))
        });
        let Some((link, mine)) = link else { return false };
        let Some(comodel) = schema.fields.get(&link.name).and_then(|f| f.relation.clone()) else { return false };
        let usable = self.scope().readable(&comodel).is_ok();
        key.field = Some(link.name.clone());
        key.references = Some(if mine { model.to_owned() } else { comodel });
        usable
    }

    // ---- relations

    /// The fields that lead to other records, with the way back.
    pub async fn model_relations(&self, model: &str) -> Result<Relations> {
        let schema = self.schema(model).await?;
        let mut notes = Vec::new();
        let kinds = ["many2one", "one2many", "many2many", "reference", "many2one_reference"];
        let own: Vec<(&String, &Field)> = schema.fields.0.iter().filter(|(_, f)| kinds.contains(&f.r#type.as_str())).collect();
        if own.is_empty() {
            return Ok(Relations::default());
        }
        let (mut links, mut back) = (Vec::new(), Vec::new());
        match self.relation_rows(model).await? {
            Told::Not(why) => {
                notes.push(format!(
                    "Tables of many2many fields, what happens on deletion, and the fields that lead back to a many2one or many2many are not told: {why}"
                ));
            }
            Told::Rows(rows) => {
                links = rows;
                let domain = json!([["relation", "=", model], ["ttype", "in", ["one2many", "many2many"]]]);
                let fields = ["model", "name", "ttype", "relation_field", "relation_table", "column1", "column2"];
                back = self
                    .technical(FIELDS, &domain, &fields, "model, name")
                    .await?
                    .or_note(&mut notes, "The fields that lead back are not told");
            }
        }
        let relations = own
            .into_iter()
            .map(|(name, field)| {
                let usable = field.relation.as_deref().is_none_or(|m| self.scope().readable(m).is_ok());
                let link = links.iter().find(|l| l.name == *name);
                let table = link.and_then(FieldRow::table).filter(|_| field.r#type == "many2many");
                let inverse = inverse(name, field, table.as_ref(), &back);
                Relation {
                    field: name.clone(),
                    kind: field.r#type.clone(),
                    label: field.string.clone(),
                    model: field.relation.clone(),
                    required: field.required,
                    stored: field.store,
                    // Of a model that the key may not use its name is all.
                    inverse: if usable { inverse } else { Vec::new() },
                    table: table.filter(|_| usable),
                    on_delete: link.filter(|l| l.ttype == "many2one" && field.store).and_then(|l| filled(&l.on_delete)),
                    usable,
                }
            })
            .collect();
        Ok(Relations { relations, notes })
    }

    // ---- views

    /// The view that Odoo shows for a model, with all that extends it, for this credential's user; `kind` is form, list, tree, search,
    /// kanban and so on. At most about `most` bytes of it.
    pub async fn model_view(&self, model: &str, kind: &'static str, most: usize) -> Result<View> {
        #[derive(Deserialize)]
        struct Sent {
            #[serde(default)]
            arch: Value,
            /// Up to 15 `view_id`.
            #[serde(default, alias = "view_id")]
            id: Value,
            /// Up to 15, with the views of relations in it.
            #[serde(default)]
            fields: Map<String, Value>,
        }
        self.scope().readable(model)?;
        let version = self.version().await?;
        let kind = view_kind(kind, version);
        let method = if dialect::has_get_view(version) { "get_view" } else { "fields_view_get" };
        let args = [Arg::Flag(false), Arg::Text(kind)];
        let request = Request { model, method, ids: None, args: &args, kwargs: &[], context: self.sent(), write: false };
        let sent: Sent = match self.send(&request).await {
            Ok(sent) => sent,
            Err(failure) => return Err(self.no_view(failure, model, method, kind).await),
        };
        let mut view = View { kind, id: one(&sent.id), ..View::default() };
        let Some(mut root) = Node::parse(&text(&sent.arch)) else {
            view.notes.push(format!("Odoo sent a {kind} view that cannot be read."));
            return Ok(view);
        };
        embed_views(&mut root, &sent.fields, 0);
        let schema = self.schema(model).await?;
        let mut closed = BTreeSet::new();
        let within = self.within(&root, &schema, 0, &mut closed).await?;
        root.strip(&schema.withheld, &within);
        if !closed.is_empty() {
            let models = closed.into_iter().collect::<Vec<_>>().join(", ");
            view.notes.push(format!("Views of {models} within the {kind} view are left out: this key may not use those models."));
        }
        let whole = root.write(usize::MAX);
        if whole.len() > most {
            view.cut_from = Some(whole.len());
            view.arch = Some(root.write(most));
        } else {
            view.arch = Some(whole);
        }
        Ok(view)
    }
    /// What may be seen of the views within fields, by field.
    fn within<'a>(
        &'a self,
        node: &'a Node,
        schema: &'a Schema,
        depth: usize,
        closed: &'a mut BTreeSet<String>,
    ) -> BoxFuture<'a, Result<BTreeMap<String, Inner>>> {
        Box::pin(async move {
            let mut found = BTreeMap::new();
            for name in node.holding() {
                let Some(comodel) = schema.fields.get(&name).and_then(|f| f.relation.clone()) else { continue };
                if self.scope().readable(&comodel).is_err() || depth >= DEEPEST_VIEW {
                    closed.insert(comodel);
                    continue;
                }
                // A model that this credential cannot look at is not shown either.
                let Ok(inner) = self.schema(&comodel).await else { continue };
                let mut views = Node::default();
                node.collect(&name, &mut views);
                let within = self.within(&views, &inner, depth + 1, closed).await?;
                found.insert(name, Inner { withheld: inner.withheld.clone(), within });
            }
            Ok(found)
        })
    }
    /// Odoo made no view: the model is unknown, or has too few fields for this type, or may not be read.
    async fn no_view(&self, failure: Failure, model: &str, method: &str, kind: &str) -> Fault {
        let Failure::Odoo(error) = failure else { return self.tell(failure, model, method).await };
        if let Err(unknown) = self.schema(model).await {
            return unknown;
        }
        match error.kind {
            Kind::Access | Kind::AccessDenied => refusal(Code::OdooError, scrub(&error.message))
                .next(format!("The Odoo user of this credential may not read {model}; an administrator of Odoo grants it. An abstract model, which nobody may read, has no views."))
                .into(),
            Kind::User => {
                let said = scrub(&error.message);
                refusal(Code::NotFound, format!("{model} has no {kind} view: {said}"))
                    .next("Ask for form, list, search or kanban.")
                    .into()
            }
            _ => {
                let said = scrub(&error.message);
                refusal(Code::OdooError, format!("Odoo cannot put the {kind} view of {model} together: {said}"))
                    .next("An abstract model has no views; else one of the views that extend it is broken. get_field_metadata tells the fields all the same.")
                    .into()
            }
        }
    }

    /// The records of `ir.ui.view` of a model, switched-off ones too; none for a restricted key.
    ///
    /// # Errors
    /// In the second place the sentence why there are none.
    pub async fn view_records(&self, model: &str) -> Result<Result<Vec<ViewRecord>, String>> {
        #[derive(Deserialize)]
        struct Row {
            id: i64,
            name: Value,
            #[serde(rename = "type")]
            kind: Value,
            mode: Value,
            priority: i64,
            inherit_id: Value,
            xml_id: Value,
            active: bool,
        }
        self.scope().readable(model)?;
        if self.scope().restricted {
            return Ok(Err("A restricted key gets the combined views alone.".to_owned()));
        }
        let domain = json!([["model", "=", model]]);
        let fields = ["name", "type", "mode", "priority", "inherit_id", "xml_id", "active"];
        match self.technical::<Row>(VIEWS, &domain, &fields, "priority, id").await? {
            Told::Not(why) => Ok(Err(why)),
            Told::Rows(rows) => Ok(Ok(rows
                .into_iter()
                .map(|row| ViewRecord {
                    id: row.id,
                    name: text(&row.name),
                    kind: text(&row.kind),
                    xml_id: filled(&row.xml_id),
                    priority: row.priority,
                    inherits: one(&row.inherit_id),
                    extension: row.mode == "extension",
                    active: row.active,
                })
                .collect())),
        }
    }

    // ---- methods

    /// The public methods of a model, from Odoo's documentation (19). `not_supported` where there is none.
    pub async fn model_methods(&self, model: &str) -> Result<Vec<Method>> {
        let page = match self.documentation(model).await {
            Ok(page) => page,
            Err(fault) if fault.code() == Code::NotSupported => return Err(self.undocumented(model, fault).await),
            Err(fault) => return Err(fault),
        };
        let page: dialect::DocumentationPage =
            serde_json::from_str(page.get()).map_err(|_| refusal(Code::OdooError, "Odoo's documentation could not be read."))?;
        Ok(page.methods.into_iter().map(|(name, told)| documented(name, &told)).collect())
    }
    /// Why there is no page: there is no such model, it may not be read, or there is no documentation at all.
    async fn undocumented(&self, model: &str, fault: Fault) -> Fault {
        let Ok(version) = self.version().await else { return fault };
        if !dialect::has_documentation(version) {
            return refusal(
                Code::NotSupported,
                format!("Odoo {version} does not tell its methods over RPC (19 does); before 19 only its shell knows them, through a Docker connection."),
            )
            .next("Read the module's source, or try the method with execute_method: action_… and button_… are what a form's buttons call.")
            .into();
        }
        if let Err(unknown) = self.schema(model).await {
            return unknown;
        }
        let ids: [i64; 0] = [];
        let args = [Arg::Text("read")];
        let request = Request {
            model,
            method: "has_access",
            ids: Some(&ids),
            args: &args,
            kwargs: &[],
            context: self.sent(),
            write: false,
        };
        if let Ok(false) = self.send::<bool>(&request).await {
            return refusal(
                Code::NotSupported,
                format!("Odoo documents models that its user may read, and {model} is none of them."),
            )
            .next("An abstract model's methods are documented with the models that are made of it.")
            .into();
        }
        fault
    }

    // ---- modules

    /// What Odoo keeps of a module's manifest.
    pub async fn module_manifest(&self, module: &str) -> Result<Manifest> {
        #[derive(Deserialize)]
        struct Need {
            name: String,
            #[serde(default)]
            state: Value,
        }
        #[derive(Deserialize)]
        struct Named {
            name: String,
        }
        self.scope().readable(MODULES)?;
        kernel::name::identifier("module", module)?;
        let fields = [
            "name",
            "shortdesc",
            "summary",
            "description",
            "author",
            "maintainer",
            "contributors",
            "website",
            "license",
            "category_id",
            "state",
            "latest_version",
            "installed_version",
            "application",
            "auto_install",
            "demo",
        ];
        let rows: Vec<Map<String, Value>> = match self.technical(MODULES, &json!([["name", "=", module]]), &fields, "id").await? {
            Told::Rows(rows) => rows,
            Told::Not(why) => {
                return Err(refusal(Code::NotSupported, format!("Modules are not told: {why}"))
                    .next("An administrator of Odoo gives that user the group, or stores another credential.")
                    .into());
            }
        };
        let Some(row) = rows.into_iter().next() else {
            return Err(unknown_module(module, &self.module_states().await?).into());
        };
        let said = |field: &str| row.get(field).map(text).unwrap_or_default();
        let flag = |field: &str| row.get(field).and_then(Value::as_bool).unwrap_or(false);
        let mut notes = Vec::new();
        let of = json!([["module_id.name", "=", module]]);
        let depends: Vec<Need> = self
            .technical(DEPENDENCIES, &of, &["name", "state"], "name")
            .await?
            .or_note(&mut notes, "The dependencies are not told");
        let excludes: Vec<Named> =
            self.technical(EXCLUSIONS, &of, &["name"], "name").await?.or_note(&mut notes, "The exclusions are not told");
        Ok(Manifest {
            module: module.to_owned(),
            title: said("shortdesc"),
            summary: said("summary"),
            description: said("description").trim().to_owned(),
            author: said("author"),
            maintainer: said("maintainer"),
            contributors: said("contributors"),
            website: said("website"),
            license: said("license"),
            category: row.get("category_id").and_then(one_name).unwrap_or_default(),
            state: said("state"),
            version: row.get("latest_version").and_then(filled),
            disk_version: row.get("installed_version").and_then(filled),
            application: flag("application"),
            auto_install: flag("auto_install"),
            demo: flag("demo"),
            depends: depends.into_iter().map(|d| (d.name, filled(&d.state).filter(|s| s != "unknown"))).collect(),
            excludes: excludes.into_iter().map(|e| e.name).collect(),
            notes,
        })
    }
}

fn view_kind(kind: &'static str, version: OdooVersion) -> &'static str {
    match kind {
        "list" | "tree" => dialect::list_view(version),
        other => other,
    }
}

/// Up to 15 the views of relations come beside the architecture, in the fields' descriptions.
fn embed_views(root: &mut Node, fields: &Map<String, Value>, depth: usize) {
    if depth >= DEEPEST_VIEW {
        return;
    }
    for (name, field) in fields {
        let Some(Value::Object(views)) = field.get("views") else { continue };
        for view in views.values() {
            let Some(mut inner) = view.get("arch").and_then(Value::as_str).and_then(Node::parse) else { continue };
            if let Some(Value::Object(fields)) = view.get("fields") {
                embed_views(&mut inner, fields, depth + 1);
            }
            root.embed(name, &inner);
        }
    }
}

/// Odoo's types are f and u, and i for indexes (19); the definition tells the rest.
fn kind_of(kind: &str, definition: Option<&str>) -> &'static str {
    let definition = definition.unwrap_or_default().trim_start().to_ascii_lowercase();
    match kind {
        "f" => "foreign_key",
        "i" if definition.starts_with("unique") => "unique_index",
        "i" => "index",
        _ if definition.starts_with("check") => "check",
        _ if definition.starts_with("unique index") => "unique_index",
        _ if definition.starts_with("unique") => "unique",
        _ if definition.starts_with("exclude") => "exclude",
        _ if definition.starts_with("foreign key") => "foreign_key",
        _ => "other",
    }
}
fn order_of(kind: &str) -> usize {
    ["check", "unique", "exclude", "unique_index", "other", "foreign_key", "index"].iter().position(|k| *k == kind).unwrap_or(4)
}

/// The other model's fields that lead back, credentials left out.
fn inverse(name: &str, field: &Field, table: Option<&[String; 3]>, back: &[FieldRow]) -> Vec<String> {
    let Some(comodel) = field.relation.as_deref() else { return Vec::new() };
    if field.r#type == "one2many" {
        return field.relation_field.iter().cloned().collect();
    }
    back.iter()
        .filter(|row| row.model == comodel && !is_credential(&row.model, &row.name, &row.ttype))
        .filter(|row| match field.r#type.as_str() {
            "many2one" => row.ttype == "one2many" && row.relation_field == name,
            "many2many" => {
                row.ttype == "many2many"
                    && matches!((table, row.table()), (Some([t, mine, other]), Some([u, theirs, ours])) if *t == u && *mine == ours && *other == theirs)
            }
            _ => false,
        })
        .map(|row| row.name.clone())
        .collect()
}

fn documented(name: String, told: &dialect::DocumentedMethod) -> Method {
    let plain = |value: Option<&Value>| value.and_then(Value::as_str).map(plain_text).unwrap_or_default();
    let parameters = told
        .parameters
        .iter()
        .map(|(name, p)| {
            let kind = p.get("annotation").and_then(Value::as_str).unwrap_or_default().to_owned();
            (name.clone(), kind, plain(p.get("doc")))
        })
        .collect();
    let raises = told.raises.iter().map(|(error, why)| format!("{error} {}", plain(Some(why))).trim().to_owned()).collect();
    Method {
        name,
        signature: told.signature.clone().unwrap_or_default(),
        api: told.api.clone().unwrap_or_default(),
        model: told.model.clone().unwrap_or_default(),
        module: told.module.clone().unwrap_or_default(),
        doc: told.doc.as_deref().map(plain_text).unwrap_or_default(),
        parameters,
        returns: plain(told.returns.get("doc")),
        raises,
    }
}
/// The words of the documentation's HTML.
fn plain_text(html: &str) -> String {
    let mut text = String::with_capacity(html.len());
    let mut within = false;
    for c in html.chars() {
        match c {
            '<' => within = true,
            '>' if within => within = false,
            c if !within => text.push(c),
            _ => {}
        }
    }
    let mut text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for (entity, c) in [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&nbsp;", " "), ("&amp;", "&")] {
        text = text.replace(entity, c);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constraints_are_told_apart_by_their_definition() {
        for (kind, definition, is) in [
            ("f", None, "foreign_key"),
            ("u", Some("CHECK( (a IS NOT NULL) )"), "check"),
            ("u", Some("check(a>0)"), "check"),
            ("u", Some("unique (name, company_id)"), "unique"),
            ("u", Some(" EXCLUDE (name WITH =)"), "exclude"),
            ("i", Some("INDEX (date_order desc)"), "index"),
            ("i", Some("UNIQUE INDEX (a) WHERE b"), "unique_index"),
            ("u", None, "other"),
            ("", None, "other"),
        ] {
            assert_eq!(kind_of(kind, definition), is, "{kind} {definition:?}");
        }
        assert!(order_of("check") < order_of("foreign_key"));
    }

    #[test]
    fn the_way_back_is_found_by_field_or_table() {
        let row = |model: &str, name: &str, ttype: &str, field: &str, table: [&str; 3]| FieldRow {
            model: model.to_owned(),
            name: name.to_owned(),
            ttype: ttype.to_owned(),
            relation_field: json!(field),
            relation_table: json!(table[0]),
            column1: json!(table[1]),
            column2: json!(table[2]),
            on_delete: Value::Null,
        };
        let back = [
            row("res.partner", "order_ids", "one2many", "partner_id", ["", "", ""]),
            row("res.partner", "token_ids", "one2many", "other_id", ["", "", ""]),
            row("res.company", "order_ids", "one2many", "partner_id", ["", "", ""]),
            row("crm.tag", "order_ids", "many2many", "", ["rel", "tag_id", "order_id"]),
            row("crm.tag", "else_ids", "many2many", "", ["rel2", "tag_id", "order_id"]),
        ];
        let field = |kind: &str, comodel: &str, back: Option<&str>| Field {
            r#type: kind.to_owned(),
            relation: Some(comodel.to_owned()),
            relation_field: back.map(str::to_owned),
            ..Field::default()
        };
        assert_eq!(inverse("partner_id", &field("many2one", "res.partner", None), None, &back), ["order_ids"]);
        let table = ["rel", "order_id", "tag_id"].map(str::to_owned);
        assert_eq!(inverse("tag_ids", &field("many2many", "crm.tag", None), Some(&table), &back), ["order_ids"]);
        assert_eq!(inverse("line_ids", &field("one2many", "sale.order.line", Some("order_id")), None, &back), ["order_id"]);
        assert!(inverse("x", &field("reference", "res.partner", None), None, &back).is_empty());
    }

    #[test]
    fn documentation_becomes_plain_words() {
        let html = "<div class=\"document\">\n\n<p>Confirm <tt>it</tt> &amp; <b>all</b>\nof &lt;them&gt;.</p></div>";
        assert_eq!(plain_text(html), "Confirm it & all of <them>.");
    }

    #[test]
    fn a_list_is_called_as_the_version_calls_it() {
        let of = |major| OdooVersion { major, minor: 0 };
        assert_eq!((view_kind("list", of(17)), view_kind("tree", of(18)), view_kind("form", of(14))), ("tree", "list", "form"));
    }
}
