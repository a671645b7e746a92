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

/// Types whose values can carry a text of another record.
fn carries_text(kind: &str) -> bool {
    !matches!(
        kind,
        "boolean" | "integer" | "float" | "monetary" | "date" | "datetime" | "selection" | "many2one" | "one2many" | "many2many"
    )
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
        let graph = self.graph(model, &plain, rules, version).await?;
        let at: Arc<str> = model.into();
        let (mut fields, mut withheld, mut denied) = ((*plain.fields).clone(), plain.withheld.clone(), BTreeSet::new());
        let mut veiled = false;
        fields.0.retain(|name, _| {
            let node = (Arc::clone(&at), name.clone());
            veiled |= name != "id" && graph.hides(&node);
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
            if fields.0.remove("display_name").is_some() {
                withheld.insert("display_name".to_owned());
                denied.insert("display_name".to_owned());
            }
            Names::None
        } else {
            self.names_of(model, &plain, rules).await?
        };
        let schema = Arc::new(Schema { fields: Arc::new(fields), withheld, denied, names });
        cache.insert(key, Arc::clone(&schema)).await;
        Ok(schema)
    }

    /// All that the model's fields are computed from, on whatever models.
    async fn graph(&self, model: &str, plain: &Arc<Schema>, rules: &Rules, version: OdooVersion) -> Result<Graph> {
        let mut graph = Graph::default();
        let mut schemas: BTreeMap<Arc<str>, Option<Arc<Schema>>> = BTreeMap::new();
        let start: Arc<str> = model.into();
        schemas.insert(Arc::clone(&start), Some(Arc::clone(plain)));
        let mut seen: HashSet<Node> = HashSet::new();
        let mut waiting: VecDeque<Node> = VecDeque::new();
        for name in plain.fields.0.keys() {
            waiting.push_back((Arc::clone(&start), name.clone()));
        }
        while let Some(node) = waiting.pop_front() {
            if !seen.insert(node.clone()) {
                continue;
            }
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
                graph.hard.insert(node);
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
            if carries {
                graph.carriers.insert(node.clone());
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
                    if last && !carries || step == "id" {
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
                    // A text that depends on a relation may well hold the other's name: not all dependencies are declared.
                    if last && !is_related(field) {
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
    async fn looked_up(
        &self,
        known: &mut BTreeMap<Arc<str>, Option<Arc<Schema>>>,
        model: &Arc<str>,
    ) -> Result<Option<Arc<Schema>>> {
        if let Some(schema) = known.get(model) {
            return Ok(schema.clone());
        }
        let schema = if known.len() >= MOST_MODELS {
            None
        } else {
            match self.schema_unscoped(model).await {
                Ok(schema) => Some(schema),
                // What Odoo refuses is told so; a connection that fails must not be kept as an answer.
                Err(fault) if matches!(fault.code(), Code::OdooError | Code::NotFound | Code::InvalidArgument) => None,
                Err(fault) => return Err(fault),
            }
        };
        known.insert(Arc::clone(model), schema.clone());
        Ok(schema)
    }

    /// Whose names may be read, where `display_name` itself is not hidden: those of visible records that are made of visible records.
    async fn names_of(&self, model: &str, plain: &Arc<Schema>, rules: &Rules) -> Result<Names> {
        let mut domain: Vec<Value> = Vec::new();
        for filter in rules.of(model).map_or(&[][..], |r| r.filters.as_slice()) {
            domain.extend_from_slice(filter.terms());
        }
        let start: Arc<str> = model.into();
        let mut schemas = BTreeMap::from([(Arc::clone(&start), Some(Arc::clone(plain)))]);
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
        let mine = self.schema_unscoped(model).await?;
        for (of, rule) in rules.models().filter(|(_, rule)| rule.filtered()) {
            for leaf in rule.filters.iter().flat_map(Filter::leaves) {
                let mut at = of.to_owned();
                for (i, step) in leaf.path.split('.').enumerate() {
                    let schema = self.schema_unscoped(&at).await?;
                    let field = schema.fields.get(step);
                    if i > 0 && at == model && (field.is_none() || touches(&schema, step, values)) {
                        return Err(moves(model, of));
                    }
                    let Some((field, comodel)) = field.and_then(|f| Some((f, f.relation.clone()?))) else { break };
                    // What is made, or written with a way back, becomes one of the many.
                    let back = || values.keys().any(|k| mine.fields.get(k).is_none_or(|f| f.relation.as_deref() == Some(&at)));
                    if field.r#type != "many2one" && comodel == model && (right == Right::Create || back()) {
                        return Err(moves(model, of));
                    }
                    at = comodel;
                }
            }
        }
        Ok(())
    }
    /// The same for what is deleted.
    pub(super) async fn leaves_others(&self, model: &str) -> Result<()> {
        let Some(rules) = self.scope().hiding() else { return Ok(()) };
        for (of, rule) in rules.models().filter(|(_, rule)| rule.filtered()) {
            for leaf in rule.filters.iter().flat_map(Filter::leaves) {
                // Where a link to certain records is wanted, one that is gone brings nothing into sight.
                let positive = matches!(leaf.operator.as_str(), "=" | "==") && leaf.value.is_i64()
                    || leaf.operator == "in" && leaf.value.as_array().is_some_and(|list| list.iter().all(Value::is_i64));
                let mut at = of.to_owned();
                for (i, step) in leaf.path.split('.').enumerate() {
                    let schema = self.schema_unscoped(&at).await?;
                    let Some(comodel) = schema.fields.get(step).and_then(|f| f.relation.clone()) else { break };
                    let simple =
                        i == 0 && positive && !leaf.path.contains('.') && rule.filters.iter().all(Filter::is_conjunction);
                    if comodel == model && !simple {
                        return Err(moves(model, of));
                    }
                    at = comodel;
                }
            }
        }
        Ok(())
    }
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

/// What a rule hides by itself.
fn seed(graph: &mut Graph, node: &Node, rule: &Rule) {
    if rule.denied.contains(&node.1) {
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
