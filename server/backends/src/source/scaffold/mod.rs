//! Makes the files of a new Odoo module: models, views, menus, access rights and tests that pass.
//!
//! What is asked for is checked first, so that what is made installs without a warning: names against Odoo's own
//! modules, models and methods, labels against each other, relations against what exists in that version. Texts of
//! people go into Python, XML, HTML and reStructuredText, each escaped for its place; line breaks in them become spaces.
//!
//! `core_modules.txt` and `core_models.txt` hold the names of Odoo 14 and 19 (Community, and the best-known modules of
//! Enterprise); a line of the latter is a model, and the module that defines it in 14 and in 19.
mod render;

use std::collections::{BTreeMap, BTreeSet};

/// The most models of one module, and the most fields or options of one model or field.
pub const MAX_MODELS: usize = 50;
pub const MAX_FIELDS: usize = 200;
/// The most characters of a title, label or name of a person.
pub const MAX_TITLE: usize = 200;
/// PostgreSQL's limit for a name, in bytes.
const MAX_NAME: usize = 63;

const CORE_MODULES: &str = include_str!("core_modules.txt");
const CORE_MODELS: &str = include_str!("core_models.txt");

/// A series of Odoo, 14 to 19.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(u8);

impl Version {
    /// None outside 14 to 19.
    pub fn new(series: u8) -> Option<Self> {
        (14..=19).contains(&series).then_some(Self(series))
    }

    pub fn series(self) -> u8 {
        self.0
    }
}

/// The module that is asked for.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Technical name and folder: `[a-z][a-z0-9_]{0,63}`.
    pub name: String,
    /// What people see. Empty: made from the name.
    pub title: String,
    pub version: Version,
    /// Empty: one model named after the module.
    pub models: Vec<Model>,
    /// Technical names of modules; those that a relation needs are added.
    pub depends: Vec<String>,
    pub author: String,
    /// One of Odoo's: `LGPL-3`, `AGPL-3`, `OPL-1`, …
    pub license: String,
}

/// A model, with its views, menu and access for employees.
#[derive(Debug, Clone)]
pub struct Model {
    /// `[a-z][a-z0-9_.]*`, new to Odoo: `library.book`.
    pub name: String,
    /// Empty: made from the name.
    pub title: String,
    /// Empty: one, `name`.
    pub fields: Vec<Field>,
}

/// A field of a model.
#[derive(Debug, Clone)]
pub struct Field {
    /// `[a-z][a-z0-9_]*`.
    pub name: String,
    pub kind: Kind,
    /// Empty: made from the name. Unique in its model.
    pub label: String,
    /// Not for one2many and many2many, where Odoo does not enforce it.
    pub required: bool,
    /// The other model, for the kinds many2one, one2many and many2many alone.
    pub relation: Option<String>,
}

/// What a field holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    Char,
    Text,
    Html,
    Integer,
    Float,
    /// In the currency of this many2one to `res.currency`, a field of the same model.
    Monetary {
        currency: String,
    },
    Boolean,
    Date,
    Datetime,
    /// Stored values and their labels, in order.
    Selection(Vec<(String, String)>),
    Many2one,
    /// The other end of this many2one, a field of a model of the same module.
    One2many {
        inverse: String,
    },
    Many2many,
    Binary,
}

impl Kind {
    fn relational(&self) -> bool {
        matches!(self, Self::Many2one | Self::One2many { .. } | Self::Many2many)
    }
}

/// Why no module is made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("{what} {name:?} cannot be used: {problem}")]
    Name { what: &'static str, name: String, problem: &'static str },
    #[error("{what} {name:?} is named twice: names are unique, in models also with `_` for `.`")]
    Twice { what: &'static str, name: String },
    #[error("{what} must have 1 to {MAX_TITLE} characters")]
    Text { what: String },
    #[error("too many {what}: at most {limit}")]
    TooMany { what: &'static str, limit: usize },
    #[error("{license:?} is not a license that Odoo knows: take one of {}", LICENSES.join(", "))]
    License { license: String },
    #[error("field {field} of {model}: {problem}")]
    Field { model: String, field: String, problem: String },
    #[error("{first} and {second} of {model} have the same label {label:?}, and Odoo warns about that: give each its own")]
    Label { model: String, first: String, second: String, label: String },
    #[error("{} require each other, so that no record could ever be made: leave one of these fields optional", .models.join(", "))]
    Circle { models: Vec<String> },
}

const LICENSES: [&str; 10] = [
    "LGPL-3",
    "AGPL-3",
    "GPL-2",
    "GPL-2 or any later version",
    "GPL-3",
    "GPL-3 or any later version",
    "Other OSI approved licence",
    "OEEL-1",
    "OPL-1",
    "Other proprietary",
];

/// Python's keywords that a lower-case name could be.
const KEYWORDS: [&str; 32] = [
    "and", "as", "assert", "async", "await", "break", "class", "continue", "def", "del", "elif", "else", "except", "finally",
    "for", "from", "global", "if", "import", "in", "is", "lambda", "nonlocal", "not", "or", "pass", "raise", "return", "try",
    "while", "with", "yield",
];

/// Fields that every model has, with Odoo's labels for them.
const MAGIC: [(&str, &str); 7] = [
    ("id", "ID"),
    ("display_name", "Display Name"),
    ("create_uid", "Created by"),
    ("create_date", "Created on"),
    ("write_uid", "Last Updated by"),
    ("write_date", "Last Updated on"),
    ("__last_update", "Last Modified on"),
];

/// Public names of Odoo's base model, 14 to 19: a field of that name would replace them.
const METHODS: &str = "action_archive action_unarchive browse check_access check_access_rights check_access_rule \
    check_field_access_rights clear_caches compute_concurrency_field compute_concurrency_field_with_access \
    concat copy copy_data copy_multi copy_translations create default_get ensure_one env exists export_data \
    fetch fields_get fields_get_keys fields_view_get filtered filtered_domain flush flush_model \
    flush_recordset formatted_read_group formatted_read_grouping_sets get_access_action get_base_url \
    get_empty_list_help get_external_id get_field_translations get_formview_action get_formview_id \
    get_metadata get_property_definition get_view get_views get_xml_id grouped has_access has_field_access \
    ids init invalidate_cache invalidate_model invalidate_recordset is_transient load load_views \
    lock_for_update mapped modified name_create name_get name_search new onchange origin pool read \
    read_combined read_group read_progress_bar recompute refresh search search_count search_fetch search_read \
    sorted sudo toggle_active translate_fields try_lock_for_update union unlink update \
    update_field_translations user_has_groups view_header_get view_init web_read web_save web_search_read \
    write";

/// Makes a module: paths relative to a folder of addons (`library/__manifest__.py`), and the content of each.
///
/// # Errors
/// What is asked for and would not install, would warn or would not work, see [`Error`].
pub fn scaffold(wanted: &Wanted) -> Result<Vec<(String, String)>, Error> {
    let module = check(wanted)?;
    Ok(render::files(&module))
}

/// A core model's modules in 14 and in 19; the name with `_` for `.` is what counts, for the table is what clashes.
fn core_model(name: &str) -> Option<(&'static str, &'static str)> {
    let table = table(name);
    CORE_MODELS.lines().find_map(|line| {
        let mut words = line.split(' ');
        (table == self::table(words.next()?)).then_some(())?;
        Some((words.next()?, words.next()?))
    })
}

fn core_module(name: &str) -> bool {
    CORE_MODULES.lines().any(|line| line == name)
}

/// A model's table, which also names its files and external identifiers.
fn table(model: &str) -> String {
    model.replace('.', "_")
}

/// A text of people in one line, without control characters.
fn one_line(text: &str) -> String {
    let clean = |c: char| if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') { ' ' } else { c };
    text.chars().map(clean).collect::<String>().split_whitespace().collect::<Vec<_>>().join(" ")
}

fn from_name(name: &str) -> String {
    let words = name.split(['_', '.']).filter(|word| !word.is_empty());
    let capital =
        |word: &str| word.chars().next().map(|c| c.to_ascii_uppercase()).into_iter().chain(word.chars().skip(1)).collect();
    words.map(capital).collect::<Vec<String>>().join(" ")
}

fn title(given: &str, name: &str, what: &str) -> Result<String, Error> {
    let line = one_line(given);
    if line.is_empty() {
        return Ok(from_name(name));
    }
    if line.chars().count() > MAX_TITLE {
        return Err(Error::Text { what: format!("the title of {what}") });
    }
    Ok(line)
}

fn identifier(name: &str, more: &[char]) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || more.contains(&c))
}

/// What is asked for, complete and right.
fn check(wanted: &Wanted) -> Result<Wanted, Error> {
    let refuse = |problem| Err(Error::Name { what: "module", name: one_line(&wanted.name), problem });
    if !identifier(&wanted.name, &[]) || wanted.name.len() > 64 {
        return refuse("it starts with a small letter and has at most 64 of a-z, 0-9 and _");
    }
    if KEYWORDS.contains(&wanted.name.as_str()) {
        return refuse("it is a keyword of Python");
    }
    if core_module(&wanted.name) || ["odoo", "openerp", "addons"].contains(&wanted.name.as_str()) {
        return refuse("Odoo has one of that name; to change that one, make a module that depends on it");
    }
    let author = one_line(&wanted.author);
    if author.is_empty() || author.chars().count() > MAX_TITLE {
        return Err(Error::Text { what: "the author".to_owned() });
    }
    if !LICENSES.contains(&wanted.license.as_str()) {
        return Err(Error::License { license: wanted.license.clone() });
    }
    let mut module = Wanted {
        title: title(&wanted.title, &wanted.name, "the module")?,
        author,
        depends: depends(wanted)?,
        models: models(wanted)?,
        ..wanted.clone()
    };
    let mut added = BTreeSet::new();
    for model in &module.models {
        for field in &model.fields {
            added.extend(relation(&module, model, field)?);
        }
    }
    module.depends.extend(added.into_iter().map(str::to_owned));
    let mut seen = BTreeSet::new();
    module.depends.retain(|name| seen.insert(name.clone()));
    if module.depends.is_empty() {
        module.depends.push("base".to_owned());
    }
    no_circle(&module)?;
    Ok(module)
}

fn depends(wanted: &Wanted) -> Result<Vec<String>, Error> {
    if wanted.depends.len() > MAX_FIELDS {
        return Err(Error::TooMany { what: "modules to depend on", limit: MAX_FIELDS });
    }
    for name in &wanted.depends {
        let refuse = |problem| Err(Error::Name { what: "dependency", name: one_line(name), problem });
        if !identifier(name, &[]) || name.len() > 64 {
            return refuse("a module's technical name is meant, such as `sale`");
        }
        if *name == wanted.name {
            return refuse("a module cannot depend on itself");
        }
    }
    Ok(wanted.depends.clone())
}

fn models(wanted: &Wanted) -> Result<Vec<Model>, Error> {
    if wanted.models.len() > MAX_MODELS {
        return Err(Error::TooMany { what: "models", limit: MAX_MODELS });
    }
    let mut tables = BTreeSet::new();
    let mut models = Vec::new();
    if wanted.models.is_empty() {
        models.push(sensible(wanted)?);
    }
    for model in &wanted.models {
        model_name(&model.name)?;
        if !tables.insert(table(&model.name)) {
            return Err(Error::Twice { what: "model", name: model.name.clone() });
        }
        let mut model = Model { title: title(&model.title, &model.name, &model.name)?, ..model.clone() };
        if model.fields.is_empty() {
            model.fields.push(plain("name", Kind::Char, true));
        }
        model.fields = fields(&model)?;
        models.push(model);
    }
    Ok(models)
}

fn plain(name: &str, kind: Kind, required: bool) -> Field {
    Field { name: name.to_owned(), kind, label: from_name(name), required, relation: None }
}

/// The model of a module for which none is asked: `library_book` gets `library.book`.
fn sensible(wanted: &Wanted) -> Result<Model, Error> {
    let candidates = [wanted.name.replace('_', "."), wanted.name.clone(), format!("{}.record", wanted.name)];
    let Some(name) = candidates.into_iter().find(|name| model_name(name).is_ok()) else {
        let problem = "no model can be named after it: name the models that the module is to have";
        return Err(Error::Name { what: "module", name: wanted.name.clone(), problem });
    };
    let fields =
        vec![plain("name", Kind::Char, true), plain("description", Kind::Text, false), plain("active", Kind::Boolean, false)];
    Ok(Model { title: title(&wanted.title, &wanted.name, "the module")?, name, fields })
}

fn model_name(name: &str) -> Result<(), Error> {
    let refuse = |problem| Err(Error::Name { what: "model", name: one_line(name), problem });
    if !identifier(name, &['.']) || name.split('.').any(str::is_empty) {
        return refuse("it has the form `library.book`: small letters, digits, _ and single dots, a letter first");
    }
    if name.len() > MAX_NAME - 4 {
        return refuse("it is longer than the 59 characters that leave room for its sequence in the database");
    }
    if table(name).starts_with("pg_") {
        return refuse("PostgreSQL keeps `pg_` for itself");
    }
    if core_model(name).is_some() {
        return refuse("Odoo has a model with that table; a scaffold makes new ones only");
    }
    Ok(())
}

fn fields(model: &Model) -> Result<Vec<Field>, Error> {
    if model.fields.len() > MAX_FIELDS {
        return Err(Error::TooMany { what: "fields of one model", limit: MAX_FIELDS });
    }
    let mut names = BTreeSet::new();
    let mut labels: BTreeMap<String, String> =
        MAGIC.iter().map(|(name, label)| ((*label).to_owned(), (*name).to_owned())).collect();
    let mut fields = Vec::new();
    for field in &model.fields {
        let name = field.name.as_str();
        let refuse = |problem| Err(Error::Name { what: "field", name: one_line(name), problem });
        if !identifier(name, &[]) || name.len() > MAX_NAME {
            return refuse("it starts with a small letter and has at most 63 of a-z, 0-9 and _");
        }
        if KEYWORDS.contains(&name) {
            return refuse("it is a keyword of Python");
        }
        if METHODS.split(' ').any(|method| method == name)
            || MAGIC.iter().any(|(magic, _)| *magic == name)
            || name.starts_with("with_")
        {
            return refuse("every model of Odoo has that one already");
        }
        if !names.insert(name.to_owned()) {
            return Err(Error::Twice { what: "field", name: format!("{}.{name}", model.name) });
        }
        let label = title(&field.label, name, &format!("field {name}"))?;
        if let Some(first) = labels.insert(label.clone(), name.to_owned()) {
            return Err(Error::Label { model: model.name.clone(), first, second: name.to_owned(), label });
        }
        fields.push(kind(model, &Field { label, ..field.clone() })?);
    }
    Ok(fields)
}

/// What a field's kind asks for, relations left aside.
fn kind(model: &Model, field: &Field) -> Result<Field, Error> {
    let refuse = |problem: &str| wrong(model, field, problem);
    let mut field = field.clone();
    match (field.name.as_str(), &field.kind) {
        ("name", kind) if !matches!(kind, Kind::Char | Kind::Text) => {
            return refuse("`name` is what Odoo shows for a record: make it char, or call the field something else");
        }
        ("active", kind) if *kind != Kind::Boolean => {
            return refuse("`active` is how Odoo archives records: make it boolean, or call the field something else");
        }
        _ => {}
    }
    match &field.kind {
        Kind::Monetary { currency } => {
            let there = model.fields.iter().any(|other| {
                other.name == *currency && other.kind == Kind::Many2one && other.relation.as_deref() == Some("res.currency")
            });
            if !there {
                return refuse(&format!("the model has no many2one to res.currency named {:?}: add it", one_line(currency)));
            }
        }
        Kind::Selection(options) => {
            if options.is_empty() || options.len() > MAX_FIELDS {
                return refuse("a selection has 1 to 200 options");
            }
            let mut values = BTreeSet::new();
            let mut clean = Vec::new();
            for (value, label) in options {
                let plain = !value.is_empty()
                    && value.len() <= MAX_NAME
                    && value.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'));
                if !plain {
                    return refuse("the values of options have 1 to 63 of a-z, A-Z, 0-9, _, - and .; labels are free");
                }
                if !values.insert(value) {
                    return refuse(&format!("the option {value:?} is there twice"));
                }
                clean.push((value.clone(), title(label, value, "an option")?));
            }
            field.kind = Kind::Selection(clean);
        }
        Kind::One2many { .. } | Kind::Many2many if field.required => {
            return refuse("Odoo does not enforce `required` on x2many fields: make it optional and check it in a constraint");
        }
        _ => {}
    }
    Ok(field)
}

fn wrong<T>(model: &Model, field: &Field, problem: &str) -> Result<T, Error> {
    Err(Error::Field { model: model.name.clone(), field: field.name.clone(), problem: problem.to_owned() })
}

/// Checks a field's relation. Gives the module that must be depended on for it.
fn relation(module: &Wanted, model: &Model, field: &Field) -> Result<Option<&'static str>, Error> {
    let refuse = |problem: &str| wrong(model, field, problem);
    let Some(relation) = field.relation.as_deref() else {
        if field.kind.relational() {
            return refuse("say which model it relates to");
        }
        return Ok(None);
    };
    if !field.kind.relational() {
        return refuse("only many2one, one2many and many2many relate to a model: leave the relation out");
    }
    let own = module.models.iter().find(|other| other.name == relation);
    if let Kind::One2many { inverse } = &field.kind {
        let there = own.and_then(|other| other.fields.iter().find(|end| end.name == *inverse));
        if !there.is_some_and(|end| end.kind == Kind::Many2one && end.relation.as_deref() == Some(model.name.as_str())) {
            return refuse(&format!(
                "its inverse must be a many2one named {:?} in {relation:?}, a model of this module, that relates to {}",
                one_line(inverse),
                model.name
            ));
        }
    }
    if field.kind == Kind::Many2many && render::relation_table(model, field).len() > MAX_NAME {
        return refuse("its table's name, made of the model's and the field's, is longer than 63 characters: shorten one");
    }
    if own.is_some() {
        return Ok(None);
    }
    if !identifier(relation, &['.']) {
        return refuse("what it relates to is not a model's name");
    }
    let exact = CORE_MODELS.lines().any(|line| line.split(' ').next() == Some(relation));
    let Some((first, last)) = core_model(relation).filter(|_| exact) else {
        if module.depends.iter().all(|name| name == "base") {
            return refuse(&format!("neither this module nor Odoo has {relation:?}: depend on the module that makes it"));
        }
        return Ok(None);
    };
    match module.version.series() {
        14 if first == "-" => refuse(&format!("Odoo 14 has no {relation}")),
        19 if last == "-" => refuse(&format!("Odoo 19 has no {relation}")),
        14 => Ok(Some(first)),
        19 => Ok(Some(last)),
        _ if first == last => Ok(Some(first)),
        _ if module.depends.iter().any(|name| name == first || name == last) => Ok(None),
        _ => refuse(&format!("where {relation} is differs between versions: depend on the module that makes it in this one")),
    }
}

/// Refuses models that require each other, or themselves.
fn no_circle(module: &Wanted) -> Result<(), Error> {
    let needs = |model: &Model| -> Vec<String> {
        let required = model.fields.iter().filter(|field| field.required && field.kind == Kind::Many2one);
        let own = |name: &&String| module.models.iter().any(|other| other.name == **name);
        required.filter_map(|field| field.relation.as_ref()).filter(own).cloned().collect()
    };
    let mut left: Vec<(&Model, Vec<String>)> = module.models.iter().map(|model| (model, needs(model))).collect();
    while !left.is_empty() {
        let free: Vec<String> = left.iter().filter(|(_, needs)| needs.is_empty()).map(|(model, _)| model.name.clone()).collect();
        if free.is_empty() {
            return Err(Error::Circle { models: left.iter().map(|(model, _)| model.name.clone()).collect() });
        }
        left.retain(|(_, needs)| !needs.is_empty());
        for (_, needs) in &mut left {
            needs.retain(|name| !free.contains(name));
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "../scaffold_tests.rs"]
mod tests;
