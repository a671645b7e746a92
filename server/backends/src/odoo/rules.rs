//! Hidden fields and records: what rules leave of a model's fields, whose names may be read, which records there are for the caller,
//! and whether written values keep a record within a filter.
//!
//! A hidden field hides what is computed from it. What that is, Odoo tells in `depends` and `related` of its fields; the graph of both is
//! followed over all models that it reaches. Whatever cannot be looked up counts as hidden.
use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque},
    sync::Arc,
};

use futures_util::{StreamExt as _, stream};
use kernel::{
    Code, OdooVersion, Refusal, refusal,
    resource::{Comparable, Filter, Leaf, Rule, Rules, truth},
};
use serde_json::{Map, Value, json};

use super::{
    Field, Reader, Result,
    dialect::{self, Arg, Context, Request},
    schema::{Names, Schema},
};
use crate::scope::Right;

/// Models that the closure of hidden fields may reach; with more, what was not reached counts as hidden.
const MOST_MODELS: usize = 300;
/// Relations between a record and what its name is made of.
const LONGEST_NAME: usize = 4;
/// Models looked up at once, and relations that are followed ahead of need.
const AT_ONCE: usize = 4;
const LONGEST_LOOK: usize = 10;

/// Types whose values can carry a text of another record.
fn carries_text(kind: &str) -> bool {
    !matches!(
        kind,
        "boolean" | "integer" | "float" | "monetary" | "date" | "datetime" | "selection" | "many2one" | "one2many" | "many2many"
    )
}

/// What cannot be a copy of another field's value: who wrote a record when, and its name, which is looked at by itself.
const BESIDE: [&str; 7] = ["__last_update", "create_date", "create_uid", "display_name", "id", "write_date", "write_uid"];

/// Whether a value of the one field could be told by the other, which is computed from its record in ways that Odoo does not tell.
fn could_tell(source: &Field, by: &Field) -> bool {
    let number = |kind: &str| matches!(kind, "integer" | "float" | "monetary");
    let time = |kind: &str| matches!(kind, "date" | "datetime");
    let link = |kind: &str| matches!(kind, "many2one" | "one2many" | "many2many");
    let (from, to) = (source.r#type.as_str(), by.r#type.as_str());
    carries_text(to)
        || number(from) && number(to)
        || time(from) && time(to)
        || link(from) && link(to) && source.relation == by.relation
        || !link(to) && from == to
}

/// The paths that a field is computed from; first those of a plain copy.
fn sources(model: &str, name: &str, field: &Field) -> Vec<Vec<String>> {
    let split = |path: &str| path.split('.').map(str::to_owned).collect::<Vec<_>>();
    let mut paths: Vec<Vec<String>> = Vec::new();
    match field.all.get("related") {
        Some(Value::String(path)) if !path.is_empty() => paths.push(split(path)),
        Some(Value::Array(parts)) if !parts.is_empty() => {
            paths.push(parts.iter().filter_map(|p| p.as_str().map(str::to_owned)).collect());
        }
        _ => {}
    }
    if let Some(Value::Array(depends)) = field.all.get("depends") {
        paths.extend(depends.iter().filter_map(Value::as_str).filter(|p| !p.is_empty()).map(split));
    }
    paths.retain(|p| !p.is_empty());
    if let Some(unused) = dialect::unused_in_names(model).filter(|_| name == "display_name") {
        paths.retain(|p| !matches!(p.as_slice(), [only] if unused.contains(&only.as_str())));
    }
    paths
}
fn is_related(field: &Field) -> bool {
    match field.all.get("related") {
        Some(Value::String(path)) => !path.is_empty(),
        Some(Value::Array(parts)) => !parts.is_empty(),
        _ => false,
    }
}

type Node = (Arc<str>, String);
/// The plain fields of models that were looked up; none where they cannot be had.
type Looked = BTreeMap<Arc<str>, Option<Arc<Schema>>>;

/// What is computed from what, and what is hidden.
#[derive(Debug, Default)]
struct Graph {
    /// From a field to those that are computed from it.
    feeds: HashMap<Node, Vec<Node>>,
    /// Hidden for good, and so is what is computed from it.
    hard: HashSet<Node>,
    /// Not in an allow list: hides what is computed from it, unless that is allowed by its own name.
    soft: HashSet<Node>,
    /// Texts out of records that may be hidden.
    foreign: HashSet<Node>,
    /// Fields that can carry such a text on.
    carriers: HashSet<Node>,
}
impl Graph {
    /// Spreads what is hidden over what is computed from it.
    fn spread(&mut self, allowed: impl Fn(&Node) -> bool) {
        fn flood(seeds: &mut HashSet<Node>, feeds: &HashMap<Node, Vec<Node>>, stops: impl Fn(&Node) -> bool) {
            let mut waiting: Vec<Node> = seeds.iter().cloned().collect();
            while let Some(node) = waiting.pop() {
                for fed in feeds.get(&node).into_iter().flatten() {
                    if !stops(fed) && seeds.insert(fed.clone()) {
                        waiting.push(fed.clone());
                    }
                }
            }
        }
        flood(&mut self.hard, &self.feeds, |_| false);
        flood(&mut self.soft, &self.feeds, allowed);
        flood(&mut self.foreign, &self.feeds, |node| !self.carriers.contains(node));
    }
    /// Hidden by a policy on fields.
    fn hides(&self, node: &Node) -> bool {
        self.hard.contains(node) || self.soft.contains(node)
    }
    /// Hidden because it may tell of a hidden record. Names are looked at record by record instead.
    fn tells(&self, node: &Node) -> bool {
        self.foreign.contains(node) && node.1 != "display_name"
    }
}

impl Reader {
    /// A model's fields as the caller's rules leave them.
    pub(super) async fn governed(&self, model: &str, plain: Arc<Schema>, rules: &Arc<Rules>) -> Result<Arc<Schema>> {
        let version = self.version().await?;
        let key = (self.client_id().await?, self.sent().lang.clone(), model.to_owned(), Arc::clone(rules.fingerprint()));
        let cache = self.schemas().governed();
        if let Some(known) = cache.get(&key).await {
            return Ok(known);
        }
        self.keeps_records(model, rules).await?;
        let graph = self.graph(model, &plain, rules, version).await?;
        let at: Arc<str> = model.into();
        let (mut fields, mut withheld, mut denied) = ((*plain.fields).clone(), plain.withheld.clone(), BTreeSet::new());
        let mut veiled = false;
        let ruled = rules.of(model).is_some_and(|rule| !rule.fields.is_all());
        fields.0.retain(|name, field| {
            let node = (Arc::clone(&at), name.clone());
            veiled |= name != "id" && graph.hides(&node) && (ruled || field.store);
            let hidden = name != "id" && (graph.hides(&node) || graph.tells(&node));
            if hidden {
                withheld.insert(name.clone());
                denied.insert(name.clone());
            }
            !hidden
        });
        let named = rules.of(model).is_some_and(|rule| rule.fields.names("display_name"));
        // Up to 16 names come from name_get, which tells nothing of what it is made of.
        let guessed = !dialect::computes_names(version) && veiled && !named;
        let names = if guessed || denied.contains("display_name") || !fields.0.contains_key("display_name") {
            Names::None
        } else {
            self.names_of(model, &plain, rules, version).await?
        };
        if names == Names::None && fields.0.remove("display_name").is_some() {
            withheld.insert("display_name".to_owned());
            denied.insert("display_name".to_owned());
        }
        let schema = Arc::new(Schema { fields: Arc::new(fields), withheld, denied, names });
        cache.insert(key, Arc::clone(&schema)).await;
        Ok(schema)
    }

    /// Wizards render other models' records by templates and methods of their own, past every rule: they are for keys alone from which
    /// nothing is hidden, unless a rule is about the wizard.
    async fn keeps_records(&self, model: &str, rules: &Rules) -> Result<()> {
        if rules.of(model).is_some() || self.scope().lifted(model) {
            return Ok(());
        }
        let passing = match self.kept_models().await? {
            Some(kept) => !kept.iter().any(|m| m.model == model),
            None => wizard_like(model),
        };
        if passing {
            return Err(refusal(
                Code::ModelDenied,
                format!("{model} keeps no records of its own, and could show what is hidden from this key."),
            )
            .next("An administrator of the organization decides it with ocore resource.")
            .into());
        }
        Ok(())
    }

    /// All that the model's fields are computed from, on whatever models.
    async fn graph(&self, model: &str, plain: &Arc<Schema>, rules: &Rules, version: OdooVersion) -> Result<Graph> {
        let mut graph = Graph::default();
        let mut schemas = Looked::new();
        let start: Arc<str> = model.into();
        schemas.insert(Arc::clone(&start), Some(Arc::clone(plain)));
        let mut seen: HashSet<Node> = HashSet::new();
        let mut waiting: VecDeque<Node> = VecDeque::new();
        for name in plain.fields.0.keys() {
            waiting.push_back((Arc::clone(&start), name.clone()));
        }
        let mut fetched = 0;
        while let Some(node) = waiting.pop_front() {
            if !seen.insert(node.clone()) {
                continue;
            }
            // All that waits is looked up at once: one after the other, a far server would take its time for each model.
            if fetched == 0 {
                fetched = waiting.len() + 1;
                self.look_ahead(&mut schemas, std::iter::once(&node).chain(&waiting)).await?;
            }
            fetched -= 1;
            let (at, name) = &node;
            if name == "id" {
                continue;
            }
            let rule = rules.of(at);
            if let Some(rule) = rule {
                seed(&mut graph, &node, rule);
            }
            let schema = self.looked_up(&mut schemas, at).await?;
            let Some(field) = schema.as_ref().and_then(|s| s.fields.get(name)) else {
                // A credential is withheld whatever is computed from it; what nobody tells of could be computed from anything.
                if !schema.is_some_and(|s| s.withheld.contains(name)) {
                    graph.hard.insert(node);
                }
                continue;
            };
            let paths = sources(at, name, field);
            // Computed from who knows what.
            let opaque = paths.is_empty() && !field.store && !matches!(name.as_str(), "id" | "__last_update");
            if opaque && rule.is_some_and(|r| !r.fields.is_all() && !r.fields.names(name)) {
                // Soft: whoever allows by name what is computed from it has decided.
                graph.soft.insert(node);
                continue;
            }
            if name == "display_name"
                && let (Some(rule), Some(schema)) = (rule, schema.as_deref())
                && names_untold(at, rule, schema, version)
            {
                graph.hard.insert(node);
                continue;
            }
            let carries = is_related(field) || carries_text(&field.r#type);
            // What Odoo looks for when it is asked (twins, duplicates) finds hidden records too.
            if !field.store
                && !is_related(field)
                && field.relation.as_deref().is_some_and(|m| rules.of(m).is_some_and(Rule::filtered))
            {
                graph.foreign.insert(node.clone());
            }
            // What texts were before.
            if name.starts_with("html_field_history")
                && let Some(schema) = &schema
            {
                for (name, _) in schema.fields.0.iter().filter(|(_, f)| f.r#type == "html") {
                    graph.feeds.entry((Arc::clone(at), name.clone())).or_default().push(node.clone());
                }
            }
            if carries {
                graph.carriers.insert(node.clone());
            }
            for back in self.other_side(&mut schemas, rules, at, field).await? {
                graph.feeds.entry(back.clone()).or_default().push(node.clone());
                waiting.push_back(back);
            }
            for path in paths {
                let mut current = Arc::clone(at);
                for (i, step) in path.iter().enumerate() {
                    if i > 0 && carries && rules.of(&current).is_some_and(Rule::filtered) {
                        graph.foreign.insert(node.clone());
                    }
                    let source: Node = (Arc::clone(&current), step.clone());
                    graph.feeds.entry(source.clone()).or_default().push(node.clone());
                    waiting.push_back(source);
                    let last = i + 1 == path.len();
                    if step == "id" {
                        break;
                    }
                    let schema = self.looked_up(&mut schemas, &current).await?;
                    let Some(comodel) = schema.as_ref().and_then(|s| s.fields.get(step)).and_then(|f| f.relation.as_deref())
                    else {
                        // The rest of the path leads to where nobody can tell.
                        if !last && schema.is_none_or(|s| s.fields.get(step).is_none()) {
                            graph.hard.insert(node.clone());
                        }
                        break;
                    };
                    current = comodel.into();
                    if !last || is_related(field) {
                        continue;
                    }
                    // What depends on a relation may use anything of the other record: not all dependencies are declared.
                    for name in self.tellable(&mut schemas, rules, &current, field).await? {
                        let source: Node = (Arc::clone(&current), name);
                        graph.feeds.entry(source.clone()).or_default().push(node.clone());
                        waiting.push_back(source);
                    }
                    if carries {
                        if rules.of(&current).is_some_and(Rule::filtered) {
                            graph.foreign.insert(node.clone());
                        }
                        let named: Node = (Arc::clone(&current), "display_name".to_owned());
                        graph.feeds.entry(named.clone()).or_default().push(node.clone());
                        waiting.push_back(named);
                    }
                }
            }
        }
        graph.spread(|(at, name)| rules.of(at).is_some_and(|rule| rule.fields.names(name)));
        Ok(graph)
    }
    /// The plain fields of a model on the way; none where they cannot be had.
    async fn looked_up(&self, known: &mut Looked, model: &Arc<str>) -> Result<Option<Arc<Schema>>> {
        if let Some(schema) = known.get(model) {
            return Ok(schema.clone());
        }
        let schema = if known.len() >= MOST_MODELS { None } else { self.schema_told(model).await? };
        known.insert(Arc::clone(model), schema.clone());
        Ok(schema)
    }

    /// Looks up what the next steps need, a few at a time.
    async fn look_ahead<'n>(&self, known: &mut Looked, nodes: impl Iterator<Item = &'n Node> + Clone) -> Result<()> {
        // Each turn reaches one relation further.
        for _ in 0..LONGEST_LOOK {
            let mut wanted: BTreeSet<Arc<str>> = BTreeSet::new();
            for (at, name) in nodes.clone() {
                let Some(schema) = known.get(at) else {
                    wanted.insert(Arc::clone(at));
                    continue;
                };
                let Some(field) = schema.as_ref().and_then(|s| s.fields.get(name)) else { continue };
                for path in sources(at, name, field) {
                    let mut current = Arc::clone(at);
                    for step in path {
                        let Some(schema) = known.get(&current) else {
                            wanted.insert(current);
                            break;
                        };
                        let relation = schema.as_ref().and_then(|s| s.fields.get(&step)).and_then(|f| f.relation.as_deref());
                        let Some(comodel) = relation else { break };
                        current = comodel.into();
                    }
                }
            }
            if wanted.is_empty() {
                return Ok(());
            }
            let room = MOST_MODELS.saturating_sub(known.len());
            let found: Vec<_> = stream::iter(wanted.into_iter().take(room))
                .map(|model| async move { (self.schema_told(&model).await, model) })
                .buffer_unordered(AT_ONCE)
                .collect()
                .await;
            if found.is_empty() {
                return Ok(());
            }
            for (schema, model) in found {
                known.insert(model, schema?);
            }
        }
        Ok(())
    }
    /// A model's plain fields; none where Odoo does not tell them. A connection that fails must not be kept as an answer.
    async fn schema_told(&self, model: &str) -> Result<Option<Arc<Schema>>> {
        match self.schema_unscoped(model).await {
            Ok(schema) => Ok(Some(schema)),
            Err(fault) if matches!(fault.code(), Code::OdooError | Code::NotFound | Code::InvalidArgument) => Ok(None),
            Err(fault) => Err(fault),
        }
    }
    /// The fields of a model, of which the rules hide some, whose values a field could tell that is computed from its records.
    async fn tellable(&self, known: &mut Looked, rules: &Rules, model: &Arc<str>, by: &Field) -> Result<Vec<String>> {
        // Users are partners: what is hidden of these is hidden of those.
        let ruled = |model: &str| rules.of(model).is_some_and(|rule| !rule.fields.is_all());
        if !(ruled(model) || &**model == "res.users" && ruled("res.partner")) {
            return Ok(Vec::new());
        }
        let Some(schema) = self.looked_up(known, model).await? else { return Ok(Vec::new()) };
        let fields = schema.fields.0.iter();
        Ok(fields
            .filter(|(name, f)| !BESIDE.contains(&name.as_str()) && could_tell(f, by))
            .map(|(name, _)| name.clone())
            .collect())
    }
    /// The fields by which the other model's records point back: one relation is told, searched and written from both sides.
    async fn other_side(&self, known: &mut Looked, rules: &Rules, model: &Arc<str>, field: &Field) -> Result<Vec<Node>> {
        let Some(comodel) = field.relation.as_deref() else { return Ok(Vec::new()) };
        if rules.of(comodel).is_none_or(|rule| rule.fields.is_all()) {
            return Ok(Vec::new());
        }
        let comodel: Arc<str> = comodel.into();
        match (field.r#type.as_str(), &field.relation_field) {
            ("one2many", Some(back)) => Ok(vec![(comodel, back.clone())]),
            // Which of them shares its table is not told.
            ("many2many", _) => {
                let Some(schema) = self.looked_up(known, &comodel).await? else { return Ok(Vec::new()) };
                let backs =
                    schema.fields.0.iter().filter(|(_, f)| f.r#type == "many2many" && f.relation.as_deref() == Some(model));
                Ok(backs.map(|(name, _)| (Arc::clone(&comodel), name.clone())).collect())
            }
            _ => Ok(Vec::new()),
        }
    }

    /// Whose names may be read, where `display_name` itself is not hidden: those of visible records that are made of visible records.
    async fn names_of(&self, model: &str, plain: &Arc<Schema>, rules: &Rules, version: OdooVersion) -> Result<Names> {
        let mut domain: Vec<Value> = Vec::new();
        for filter in rules.of(model).map_or(&[][..], |r| r.filters.as_slice()) {
            domain.extend_from_slice(filter.terms());
        }
        let start: Arc<str> = model.into();
        let mut schemas = BTreeMap::from([(Arc::clone(&start), Some(Arc::clone(plain)))]);
        if !dialect::computes_names(version) && self.named_untold(&mut schemas, model, plain, rules).await? {
            return Ok(Names::None);
        }
        let mut seen: HashSet<(Vec<String>, String)> = HashSet::new();
        let mut hops: BTreeSet<(Vec<String>, Arc<str>)> = BTreeSet::new();
        let mut ends: BTreeSet<Vec<String>> = BTreeSet::new();
        let mut waiting: Vec<(Vec<String>, Arc<str>, String)> = vec![(Vec::new(), start, "display_name".to_owned())];
        while let Some((prefix, at, name)) = waiting.pop() {
            if !seen.insert((prefix.clone(), name.clone())) {
                continue;
            }
            let Some(schema) = self.looked_up(&mut schemas, &at).await? else { return Ok(Names::None) };
            let Some(field) = schema.fields.get(&name) else { continue };
            if !carries_text(&field.r#type) && !is_related(field) {
                continue;
            }
            for path in sources(&at, &name, field) {
                let related = is_related(field);
                let (mut prefix, mut current) = (prefix.clone(), Arc::clone(&at));
                for (i, step) in path.iter().enumerate() {
                    let last = i + 1 == path.len();
                    if last {
                        waiting.push((prefix.clone(), Arc::clone(&current), step.clone()));
                    }
                    let Some(schema) = self.looked_up(&mut schemas, &current).await? else { return Ok(Names::None) };
                    let Some(relation) = schema.fields.get(step) else { return Ok(Names::None) };
                    let Some(comodel) = relation.relation.as_deref().filter(|_| !(last && related)) else { break };
                    prefix.push(step.clone());
                    let stored = relation.store && relation.r#type == "many2one";
                    if rules.of(comodel).is_some_and(Rule::filtered) {
                        if !stored {
                            return Ok(Names::None);
                        }
                        hops.insert((prefix.clone(), comodel.into()));
                    }
                    if prefix.len() >= LONGEST_NAME {
                        // A name made of names made of names: only where the chain ends here.
                        if !stored {
                            return Ok(Names::None);
                        }
                        ends.insert(prefix.clone());
                        break;
                    }
                    current = comodel.into();
                    // A name that depends on a relation may well hold the other's.
                    if last {
                        waiting.push((prefix.clone(), Arc::clone(&current), "display_name".to_owned()));
                    }
                }
            }
        }
        if domain.is_empty() && hops.is_empty() {
            return Ok(Names::All);
        }
        let watch = self.watch(rules).await?;
        if hops.iter().any(|(_, comodel)| watch.floating.contains_key(&**comodel)) {
            return Ok(Names::None);
        }
        // Without a filtered model on the way, how long the chains are does not matter.
        if !hops.is_empty() {
            for (path, comodel) in hops {
                for filter in rules.of(&comodel).map_or(&[][..], |r| r.filters.as_slice()) {
                    domain.push("|".into());
                    domain.extend(absent(&path));
                    domain.extend(behind(&path.join("."), filter));
                }
            }
            for path in ends {
                domain.extend(absent(&path));
            }
        }
        Ok(Names::Of(domain))
    }
    /// Up to 16 a method makes the names and tells nothing of what it uses: whether it could use what is hidden of records that the model
    /// leads to by one relation or two. Where a model computes its names all the same, it tells.
    async fn named_untold(&self, known: &mut Looked, model: &str, plain: &Schema, rules: &Rules) -> Result<bool> {
        let told = plain.fields.get("display_name").map(|field| sources(model, "display_name", field)).unwrap_or_default();
        if told.len() > 1 || told.iter().any(|path| path.len() > 1) {
            return Ok(false);
        }
        // A company's name is its own; who made a record is in no name.
        let leads = |schema: &Schema| -> Vec<Arc<str>> {
            let links = schema.fields.0.iter().filter(|(name, f)| f.r#type == "many2one" && !BESIDE.contains(&name.as_str()));
            links.filter_map(|(_, f)| f.relation.as_deref()).filter(|m| *m != "res.company").map(Into::into).collect()
        };
        let hides = |model: &str| rules.of(model).is_some_and(Rule::hides);
        for near in leads(plain) {
            if hides(&near) {
                return Ok(true);
            }
            let Some(schema) = self.looked_up(known, &near).await? else { continue };
            if leads(&schema).iter().any(|far| hides(far)) {
                return Ok(true);
            }
        }
        Ok(false)
    }
    /// Whose names of a model the caller may read; nobody's where that cannot be found out.
    pub(super) async fn readable_names(&self, model: &str) -> Names {
        if !self.scope().shows_names_of(model) {
            return Names::None;
        }
        if self.scope().hiding().is_none() {
            return Names::All;
        }
        self.schema(model).await.map_or(Names::None, |schema| schema.names.clone())
    }

    /// Whether records of the model may be found by their names, sorted or grouped by them: names must be all there is to it, for Odoo
    /// looks for a text in more fields than the name, and sorts by fields of its own choice.
    pub(super) async fn goes_by_names(&self, model: &str) -> bool {
        if !self.scope().shows_names_of(model) {
            return false;
        }
        if self.scope().hiding().is_none() {
            return true;
        }
        self.schema(model).await.is_ok_and(|schema| schema.names == Names::All && !schema.limited())
    }

    // ---- records

    /// The domain with what hides records of the model.
    pub(super) fn kept<'a>(&self, model: &str, domain: &'a Value) -> Cow<'a, Value> {
        match self.scope().rule(model) {
            Some(rule) if rule.filtered() => {
                let mut terms: Vec<Value> = rule.filters.iter().flat_map(|f| f.terms().iter().cloned()).collect();
                if let Value::Array(asked) = domain {
                    terms.extend(asked.iter().cloned());
                }
                Cow::Owned(Value::Array(terms))
            }
            _ => Cow::Borrowed(domain),
        }
    }
    /// Of these records those that are there for the caller, archived ones too, in the order given. For what is named by an id that
    /// came with a call, before anything is told or done about it.
    pub async fn visible(&self, model: &str, ids: &[i64]) -> Result<Vec<i64>> {
        self.scope().readable(model)?;
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        self.existing(model, ids).await
    }
    /// Refuses records of a filtered model that are not there for the caller: hidden and missing alike.
    pub(super) async fn all_visible(&self, model: &str, ids: &[i64]) -> Result<()> {
        if !self.scope().filtered(model) || ids.is_empty() {
            return Ok(());
        }
        let seen: HashSet<i64> = self.visible(model, ids).await?.into_iter().collect();
        match ids.iter().find(|id| !seen.contains(id)) {
            None => Ok(()),
            Some(id) => Err(refusal(Code::RecordDenied, format!("{model} {id} was not found, or is not permitted to this key."))
                .next("Search for the records again.")
                .into()),
        }
    }
    /// Of these records those that match a domain (archived ones too).
    pub(super) async fn matching(&self, model: &str, ids: &[i64], domain: &[Value]) -> Result<HashSet<i64>> {
        let mut terms = vec![json!(["id", "in", ids])];
        terms.extend_from_slice(domain);
        let terms = Value::Array(terms);
        let context = Context { active_test: Some(false), ..self.sent().clone() };
        let args = [Arg::Value(&terms)];
        let request = Request { model, method: "search", ids: None, args: &args, kwargs: &[], context: &context, write: false };
        match self.send_kept::<Vec<i64>>(&request).await {
            Ok(found) => Ok(found.into_iter().collect()),
            Err(failure) => Err(self.tell(failure, model, "search").await),
        }
    }

    // ---- writing

    /// Whether a record with these values stays, or is, within the model's filters; and whether other records stay where they are.
    pub(super) async fn within_filters(
        &self,
        model: &str,
        values: &Map<String, Value>,
        right: Right,
        schema: &Schema,
    ) -> Result<()> {
        let Some(rules) = self.scope().hiding() else { return Ok(()) };
        self.moves_nobody(model, values, right, rules).await?;
        let Some(rule) = rules.of(model).filter(|r| r.filtered()) else { return Ok(()) };
        let plain = self.schema_unscoped(model).await?;
        let comparable = |name: &str| plain.fields.get(name).map_or(Comparable::Other, comparable);
        let decided = truth(values, comparable);
        for filter in &rule.filters {
            let within = match right {
                Right::Create => filter.decide(&decided),
                _ => filter.still(&|leaf: &Leaf| touches(&plain, leaf.field(), values), &decided),
            };
            match within {
                Some(true) => {}
                Some(false) => {
                    return Err(refusal(
                        Code::RecordDenied,
                        format!("With these values the record of {model} would be outside what this key may see."),
                    )
                    .next(advice(filter, schema))
                    .into());
                }
                None => {
                    return Err(refusal(
                        Code::RecordDenied,
                        format!(
                            "These values do not decide whether the record of {model} would be within what this key may see."
                        ),
                    )
                    .next(advice(filter, schema))
                    .into());
                }
            }
        }
        Ok(())
    }
    /// What a filter looks at beyond the record itself changes which records it hides: such fields are not written.
    async fn moves_nobody(&self, model: &str, values: &Map<String, Value>, right: Right, rules: &Rules) -> Result<()> {
        let watch = self.watch(rules).await?;
        let mine = self.schema_unscoped(model).await?;
        if let Some(of) = watch.moved_by(model, values, right == Right::Create, &mine) {
            return Err(moves(model, of));
        }
        Ok(())
    }
    /// The same for what is deleted.
    pub(super) async fn leaves_others(&self, model: &str) -> Result<()> {
        let Some(rules) = self.scope().hiding() else { return Ok(()) };
        match self.watch(rules).await?.left_by(model) {
            Some(of) => Err(moves(model, of)),
            None => Ok(()),
        }
    }
    /// A copy has copies of a record's lines, hidden ones too, which the filter need not hide.
    pub(super) async fn copies_nothing_hidden(&self, model: &str, id: i64) -> Result<()> {
        match self.beyond(model, &[id], |rule| rule.create).await? {
            None => Ok(()),
            Some(comodel) => Err(refusal(
                Code::RecordDenied,
                format!(
                    "{model} {id} has records of {comodel} that this key may not see or make: its copy could have copies of them."
                ),
            )
            .next("Create the record with the values that it should have, and its lines by calls of their own.")
            .into()),
        }
    }
    /// What is deleted takes along the records that belong to it: none of them may be hidden, or undeletable.
    pub(super) async fn takes_nothing_along(&self, model: &str, ids: &[i64]) -> Result<()> {
        match self.beyond(model, ids, |rule| rule.delete).await? {
            None => Ok(()),
            Some(comodel) => Err(refusal(
                Code::RecordDenied,
                format!("Records of {comodel} belong to {model} {ids:?} that this key may not see or delete: they could be deleted with it."),
            )
            .next("An administrator of the organization can delete it.")
            .into()),
        }
    }
    /// A model of which records belong to these (as their one2many) that are hidden, or of which nothing may be done at all.
    async fn beyond(&self, model: &str, ids: &[i64], may: impl Fn(&Rule) -> bool) -> Result<Option<String>> {
        if self.scope().rules.is_none() || ids.is_empty() {
            return Ok(None);
        }
        let plain = self.schema_unscoped(model).await?;
        for field in plain.fields.0.values().filter(|f| f.r#type == "one2many") {
            let (Some(comodel), Some(back)) = (field.relation.as_deref(), field.relation_field.as_deref()) else { continue };
            let Some(rule) = self.scope().rule(comodel).filter(|rule| rule.filtered() || !may(rule)) else { continue };
            let others = self.schema_unscoped(comodel).await?;
            if !others.fields.get(back).is_some_and(|f| f.store && f.relation.as_deref() == Some(model)) {
                continue;
            }
            let belong = json!([[back, "in", ids]]);
            let all = self.belonging(comodel, &belong).await?;
            let within = if may(rule) { self.belonging(comodel, &self.kept(comodel, &belong)).await? } else { 0 };
            if all > within {
                return Ok(Some(comodel.to_owned()));
            }
        }
        Ok(None)
    }
    async fn belonging(&self, model: &str, domain: &Value) -> Result<u64> {
        let context = Context { active_test: Some(false), ..self.sent().clone() };
        let args = [Arg::Value(domain)];
        let request =
            Request { model, method: "search_count", ids: None, args: &args, kwargs: &[], context: &context, write: false };
        match self.send_kept(&request).await {
            Ok(count) => Ok(count),
            Err(failure) => Err(self.tell(failure, model, "search_count").await),
        }
    }
    /// What decides about which records the filters hide, beyond the fields of the records themselves.
    async fn watch(&self, rules: &Rules) -> Result<Arc<Watch>> {
        let key = (self.client_id().await?, Arc::clone(rules.fingerprint()));
        let cache = self.schemas().watched();
        if let Some(known) = cache.get(&key).await {
            return Ok(known);
        }
        let names_told = dialect::computes_names(self.version().await?);
        let (mut watch, mut known) = (Watch::default(), Looked::new());
        for (of, rule) in rules.models().filter(|(_, rule)| rule.filtered()) {
            let conjunctions = rule.filters.iter().all(Filter::is_conjunction);
            for leaf in rule.filters.iter().flat_map(Filter::leaves) {
                // Where a link to certain records is wanted, one that is gone brings nothing into sight.
                let positive = matches!(leaf.operator.as_str(), "=" | "==") && leaf.value.is_i64()
                    || leaf.operator == "in" && leaf.value.as_array().is_some_and(|list| list.iter().all(Value::is_i64));
                let simple = positive && conjunctions && !leaf.path.contains('.');
                if self.floats(&mut known, of, &leaf.path).await? {
                    watch.floating.insert(of.to_owned(), leaf.path.clone());
                }
                self.watch_leaf(&mut watch, &mut known, of, leaf, simple, names_told).await?;
            }
        }
        let watch = Arc::new(watch);
        cache.insert(key, Arc::clone(&watch)).await;
        Ok(watch)
    }
    /// Follows one condition, and what the fields in it are computed from, over all models that it reaches.
    async fn watch_leaf(
        &self,
        watch: &mut Watch,
        known: &mut Looked,
        of: &str,
        leaf: &Leaf,
        simple: bool,
        names_told: bool,
    ) -> Result<()> {
        let of: Arc<str> = of.into();
        let path: Vec<String> = leaf.path.split('.').map(str::to_owned).collect();
        // Where a field is looked at, and whether that is in another record than the one that is hidden or not.
        let mut waiting: Vec<(Arc<str>, Vec<String>, bool, bool)> = vec![(Arc::clone(&of), path, false, true)];
        let mut seen: HashSet<(Arc<str>, Vec<String>, bool)> = HashSet::new();
        while let Some((start, path, mut elsewhere, direct)) = waiting.pop() {
            if !seen.insert((Arc::clone(&start), path.clone(), elsewhere)) {
                continue;
            }
            let mut at = start;
            for (i, step) in path.iter().enumerate() {
                let last = i + 1 == path.len();
                let Some(schema) = self.looked_up(known, &at).await? else {
                    watch.closed.insert(Arc::clone(&at), Arc::clone(&of));
                    break;
                };
                if elsewhere {
                    watch.fields.insert((Arc::clone(&at), step.clone()), Arc::clone(&of));
                }
                let Some(field) = schema.fields.get(step) else {
                    // A credential, or what Odoo does not tell of.
                    if step != "id" && elsewhere {
                        watch.closed.insert(Arc::clone(&at), Arc::clone(&of));
                    }
                    break;
                };
                for source in sources(&at, step, field) {
                    waiting.push((Arc::clone(&at), source, elsewhere, false));
                }
                let comodel: Option<Arc<str>> = field.relation.as_deref().map(Into::into);
                let hierarchy = direct && last && leaf.operator.ends_with("_of");
                if let Some(tree) = comodel.clone().or_else(|| (step == "id").then(|| Arc::clone(&at))).filter(|_| hierarchy) {
                    self.watch_tree(watch, known, &tree, &of).await?;
                }
                let Some(comodel) = comodel else { break };
                if !(direct && simple) {
                    watch.gone.insert(Arc::clone(&comodel), Arc::clone(&of));
                }
                if field.r#type != "many2one" {
                    watch.many.insert((Arc::clone(&comodel), Arc::clone(&at)), Arc::clone(&of));
                    if let Some(back) = &field.relation_field {
                        watch.fields.insert((Arc::clone(&comodel), back.clone()), Arc::clone(&of));
                    }
                }
                let by_name = direct && last && names_compared(leaf);
                if by_name {
                    if names_told {
                        waiting.push((Arc::clone(&comodel), vec!["display_name".to_owned()], true, false));
                    } else {
                        watch.closed.insert(Arc::clone(&comodel), Arc::clone(&of));
                    }
                }
                elsewhere = true;
                at = comodel;
            }
            if direct && leaf.path == "id" && leaf.operator.ends_with("_of") {
                self.watch_tree(watch, known, &of, &of).await?;
            }
            if seen.len() > MOST_WATCHED {
                // So much goes into it that nothing can be told apart any more.
                watch.all = Some(Arc::clone(&of));
                return Ok(());
            }
        }
        Ok(())
    }
    /// Whether the value at the end of a path depends on who asks: on the language, on the company, or on what a search method makes of it.
    async fn floats(&self, known: &mut Looked, model: &str, path: &str) -> Result<bool> {
        let mut steps: VecDeque<String> = path.split('.').map(str::to_owned).collect();
        let mut at: Arc<str> = model.into();
        for _ in 0..LONGEST_LOOK * 2 {
            let Some(step) = steps.pop_front() else { return Ok(false) };
            if step == "id" {
                return Ok(false);
            }
            let Some(schema) = self.looked_up(known, &at).await? else { return Ok(true) };
            let Some(field) = schema.fields.get(&step) else { return Ok(true) };
            if field.all.get("company_dependent").and_then(Value::as_bool) == Some(true) {
                return Ok(true);
            }
            if !field.store {
                let Some(copied) =
                    is_related(field).then(|| sources(&at, &step, field)).and_then(|paths| paths.into_iter().next())
                else {
                    return Ok(true);
                };
                // The copied path stands for this step, in the same record.
                for part in copied.into_iter().rev() {
                    steps.push_front(part);
                }
                continue;
            }
            match field.relation.as_deref() {
                Some(comodel) => at = comodel.into(),
                None => return Ok(field.all.get("translate").is_some_and(|t| !matches!(t, Value::Null | Value::Bool(false)))),
            }
        }
        Ok(true)
    }
    /// Refuses a filter that would hide now this and now that, by the caller's language or company: for whoever writes one.
    pub async fn check_filter(&self, model: &str, filter: &Filter) -> Result<()> {
        let mut known = Looked::new();
        for leaf in filter.leaves() {
            if self.floats(&mut known, model, &leaf.path).await? {
                return Err(refusal(
                    Code::InvalidArgument,
                    format!("The filter goes by {}, which Odoo translates, keeps per company or computes for each call: what it hides would be the caller's choice.", leaf.path),
                )
                .next("Write it with stored fields that are neither translated nor kept per company.")
                .into());
            }
        }
        Ok(())
    }
    /// Refuses a search of a filtered model where the caller could choose what the filter hides, by the call's language or company.
    pub(super) async fn holds_still(&self, model: &str) -> Result<()> {
        let Some(rules) = self.scope().hiding().filter(|_| self.scope().filtered(model)) else { return Ok(()) };
        match Box::pin(self.watch(rules)).await?.floating.get(model) {
            None => Ok(()),
            Some(path) => Err(refusal(
                Code::RecordDenied,
                format!("The filter on {model} goes by {path}, which Odoo translates, keeps per company or computes for each call: what it hides would be the caller's choice."),
            )
            .next("An administrator of the organization writes the filter with stored fields that are neither translated nor kept per company.")
            .into()),
        }
    }
    /// What makes the hierarchy of a model: its relations to itself.
    async fn watch_tree(&self, watch: &mut Watch, known: &mut Looked, model: &Arc<str>, of: &Arc<str>) -> Result<()> {
        watch.gone.insert(Arc::clone(model), Arc::clone(of));
        let Some(schema) = self.looked_up(known, model).await? else {
            watch.closed.insert(Arc::clone(model), Arc::clone(of));
            return Ok(());
        };
        for (name, field) in &schema.fields.0 {
            if field.relation.as_deref() == Some(model) || name == "parent_path" {
                watch.fields.insert((Arc::clone(model), name.clone()), Arc::clone(of));
            }
        }
        Ok(())
    }
}

/// Conditions that are followed before a filter counts as depending on everything.
const MOST_WATCHED: usize = 5_000;

/// What decides, beyond the fields of the records themselves, about which records filters hide; each with the model that is filtered.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// Fields looked at in other records.
    fields: HashMap<Node, Arc<str>>,
    /// Models of which any field may be looked at.
    closed: HashMap<Arc<str>, Arc<str>>,
    /// Models whose records are looked at as the many of a record (of the second model).
    many: HashMap<(Arc<str>, Arc<str>), Arc<str>>,
    /// Models of which a record that goes away may change a link.
    gone: HashMap<Arc<str>, Arc<str>>,
    /// Everything is looked at.
    all: Option<Arc<str>>,
    /// Filtered models, with a path of the filter whose value depends on the caller's language or company.
    floating: HashMap<String, String>,
}
impl Watch {
    /// The filtered model of which this write could move a record into sight or out of it.
    fn moved_by(&self, model: &str, values: &Map<String, Value>, create: bool, schema: &Schema) -> Option<&str> {
        if let Some(of) = &self.all {
            return Some(of);
        }
        for ((many, one), of) in &self.many {
            // What is made, or written with a way back, becomes one of the many.
            let back = || values.keys().any(|k| schema.fields.get(k).is_none_or(|f| f.relation.as_deref() == Some(&**one)));
            if &**many == model && (create || back()) {
                return Some(of);
            }
        }
        // No record leads to one that is only being made.
        if create {
            return None;
        }
        if let Some(of) = self.closed.get(model) {
            return Some(of);
        }
        self.fields.iter().find(|((at, field), _)| &**at == model && touches(schema, field, values)).map(|(_, of)| &**of)
    }
    /// The same for a record that is deleted.
    fn left_by(&self, model: &str) -> Option<&str> {
        self.all.as_deref().or_else(|| self.gone.get(model).map(|of| &**of))
    }
}
/// Whether a condition on a relation goes by the names of the other records.
fn names_compared(leaf: &Leaf) -> bool {
    leaf.operator.contains("like")
        || leaf.value.is_string()
        || leaf.value.as_array().is_some_and(|list| list.iter().any(Value::is_string))
}

/// Whether a name could be made of what a model's own rule hides, whatever is told of what it is computed from: before 17 nothing is told,
/// and later not all is (a category's name holds its parents', and says that it depends on which parent there is). From 17 on, texts
/// are what names are made of.
fn names_untold(model: &str, rule: &Rule, schema: &Schema, version: OdooVersion) -> bool {
    if rule.fields.is_all() || rule.fields.names("display_name") {
        return false;
    }
    if !dialect::computes_names(version) {
        return true;
    }
    dialect::unused_in_names(model).is_none()
        && schema.fields.0.iter().any(|(name, field)| {
            name != "display_name"
                && field.store
                && matches!(field.r#type.as_str(), "char" | "text")
                && !rule.fields.permits(name)
        })
}

/// What wizards are called by custom, for credentials that may not ask which models are.
fn wizard_like(model: &str) -> bool {
    const WORDS: [&str; 16] = [
        "wizard", "wiz", "send", "invite", "compose", "composer", "reverse", "reversal", "register", "export", "import",
        "preview", "mass", "advance", "test", "confirm",
    ];
    let mut words = model.split(['.', '_']);
    words.any(|word| WORDS.contains(&word))
}

/// What a rule hides by itself.
fn seed(graph: &mut Graph, node: &Node, rule: &Rule) {
    if !rule.read && node.1 != "id" || rule.denied.contains(&node.1) {
        graph.hard.insert(node.clone());
    } else if !rule.fields.permits(&node.1) {
        graph.soft.insert(node.clone());
    }
}

/// A filter for the records at the end of a many2one (or of several).
fn behind(path: &str, filter: &Filter) -> Vec<Value> {
    let terms: Vec<Value> = filter
        .terms()
        .iter()
        .map(|term| match term {
            Value::Array(parts) => match parts.as_slice() {
                [Value::String(field), operator, value] => json!([format!("{path}.{field}"), operator, value]),
                _ => term.clone(),
            },
            other => other.clone(),
        })
        .collect();
    // One term, so that an operator can stand before it.
    let mut whole = Vec::with_capacity(2 * terms.len());
    let operands = count(&terms);
    whole.extend(std::iter::repeat_n(Value::from("&"), operands.saturating_sub(1)));
    whole.extend(terms);
    whole
}
/// That there is nothing at the end of a path of many2ones, as one term: a path that breaks off before it matches no condition on it.
fn absent(path: &[String]) -> Vec<Value> {
    let mut terms = vec![Value::from("|"); path.len().saturating_sub(1)];
    terms.extend((1..=path.len()).filter_map(|n| Some(json!([path.get(..n)?.join("."), "=", false]))));
    terms
}
/// How many terms stand beside each other in a well-formed domain.
fn count(terms: &[Value]) -> usize {
    let (mut beside, mut wanted) = (0_usize, 0_usize);
    for term in terms {
        if wanted == 0 {
            beside += 1;
            wanted = 1;
        }
        match term.as_str() {
            Some("&" | "|") => wanted += 1,
            Some(_) => {}
            None => wanted -= 1,
        }
    }
    beside
}

/// Whether writing these values changes the field: it is among them, or computed from one of them.
fn touches(schema: &Schema, field: &str, values: &Map<String, Value>) -> bool {
    let mut seen: HashSet<String> = HashSet::new();
    let mut waiting = vec![field.to_owned()];
    while let Some(name) = waiting.pop() {
        if values.contains_key(&name) {
            return true;
        }
        if !seen.insert(name.clone()) {
            continue;
        }
        if let Some(known) = schema.fields.get(&name) {
            waiting.extend(sources("", &name, known).into_iter().filter_map(|path| path.into_iter().next()));
        }
    }
    false
}

fn comparable(field: &Field) -> Comparable {
    let flag = |key: &str| field.all.get(key).and_then(Value::as_bool).unwrap_or(false);
    let sized = field.all.get("size").is_some_and(|s| s.as_i64().is_some_and(|n| n > 0));
    let translated = field.all.get("translate").is_some_and(|t| !matches!(t, Value::Null | Value::Bool(false)));
    // What Odoo computes, keeps per company or language, or cuts, may be another value than the one written.
    if flag("company_dependent") || sized || translated || !field.store || !sources("", "", field).is_empty() {
        return Comparable::Other;
    }
    match field.r#type.as_str() {
        "char" | "selection" => Comparable::Text,
        "integer" | "float" | "monetary" => Comparable::Number,
        "boolean" => Comparable::Flag,
        "date" => Comparable::Day,
        "many2one" => Comparable::Link,
        _ => Comparable::Other,
    }
}

/// The fields that would decide, of those that the caller may know.
fn advice(filter: &Filter, schema: &Schema) -> String {
    let mut fields: Vec<&str> = Vec::new();
    for leaf in filter.leaves() {
        let field = leaf.field();
        if schema.fields.get(field).is_some() && !fields.contains(&field) {
            fields.push(field);
        }
    }
    if fields.is_empty() {
        "This key cannot make or change such records; an administrator of the organization can.".to_owned()
    } else {
        format!("It goes by {}: give plain values of these that are within it.", fields.join(", "))
    }
}
fn moves(model: &str, of: &str) -> kernel::Fault {
    let why: Refusal =
        refusal(Code::RecordDenied, format!("This write to {model} could change which records of {of} this key may see."))
            .next("An administrator of the organization can make it.");
    why.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(told: &Value) -> Schema {
        Schema::new("x", told.as_object().unwrap().clone())
    }

    #[test]
    fn what_hides_spreads_over_what_is_computed_from_it_through_cycles_too() {
        let node = |name: &str| -> Node { ("m".into(), name.to_owned()) };
        let mut graph = Graph::default();
        for (from, to) in [
            ("secret", "a"),
            ("a", "b"),
            ("b", "a"),
            ("b", "c"),
            ("other", "d"),
            ("d", "c"),
            ("soft", "e"),
            ("e", "f"),
            ("soft", "named"),
            ("named", "g"),
        ] {
            graph.feeds.entry(node(from)).or_default().push(node(to));
        }
        graph.hard.insert(node("secret"));
        graph.soft.insert(node("soft"));
        graph.spread(|n| n.1 == "named");
        for (name, hidden) in [
            ("secret", true),
            ("a", true),
            ("b", true),
            ("c", true),
            ("d", false),
            ("other", false),
            ("e", true),
            ("f", true),
            ("named", false),
            ("g", false),
        ] {
            assert_eq!(graph.hides(&node(name)), hidden, "{name}");
        }
    }

    #[test]
    fn a_filter_moves_behind_a_relation_as_one_term() {
        let filter = Filter::parse("['|', ('a', '=', 1), '!', ('b.c', '=', 2), ('d', '=', 3), (1, '=', 1)]").unwrap();
        assert_eq!(
            Value::Array(behind("parent_id", &filter)),
            json!(["&", "&", "|", ["parent_id.a", "=", 1], "!", ["parent_id.b.c", "=", 2], ["parent_id.d", "=", 3], [1, "=", 1]])
        );
        let one = Filter::parse("[('a', '=', 1)]").unwrap();
        assert_eq!(behind("p", &one), [json!(["p.a", "=", 1])]);
    }

    #[test]
    fn writing_touches_what_is_computed_from_it() {
        let schema = schema(&json!({
            "a": {"type": "char", "store": true},
            "b": {"type": "char", "store": true, "depends": ["a.x"]},
            "c": {"type": "char", "store": true, "related": "b.y"},
            "d": {"type": "char", "store": true}
        }));
        let values = json!({"a": "x"}).as_object().unwrap().clone();
        for (field, touched) in [("a", true), ("b", true), ("c", true), ("d", false)] {
            assert_eq!(touches(&schema, field, &values), touched, "{field}");
        }
    }

    #[test]
    fn only_what_is_stored_as_written_is_compared() {
        let kind = |told: Value| comparable(schema(&json!({"f": told})).fields.get("f").unwrap());
        assert_eq!(kind(json!({"type": "char", "store": true, "depends": [], "size": 0})), Comparable::Text);
        assert_eq!(kind(json!({"type": "many2one", "store": true, "relation": "x"})), Comparable::Link);
        for other in [
            json!({"type": "char", "store": true, "translate": true}),
            json!({"type": "char", "store": true, "size": 5}),
            json!({"type": "char", "store": false}),
            json!({"type": "char", "store": true, "depends": ["x"]}),
            json!({"type": "float", "store": true, "company_dependent": true}),
            json!({"type": "datetime", "store": true}),
            json!({"type": "text", "store": true}),
        ] {
            assert_eq!(kind(other.clone()), Comparable::Other, "{other}");
        }
    }
}
