//! Which tools there are for whom. Each tool is serialized once; a list is these fragments with prefixes, joined.
use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use kernel::{Access, Actor, Category, Code, Instance, Refusal, Timestamp, name, policy, refusal};
use serde_json::{Value, json};
use store::registry::Snapshot;
use tools::contract::Tool;

use crate::auto_context::{self, AutoContext};

/// One tool, ready to be listed and called.
pub struct Entry {
    pub tool: &'static Tool,
    /// The arguments that the tool declares itself.
    pub properties: Vec<String>,
    /// Everything behind `{"name":"` and the instance's prefix.
    tail: String,
    /// Where in it the description ends, of the tool that carries auto-context.
    carries: Option<usize>,
}

pub struct Catalogue {
    entries: Vec<Entry>,
    by_name: HashMap<&'static str, usize>,
}
impl Catalogue {
    pub fn build(tools: &'static [Tool]) -> Self {
        let entries: Vec<Entry> = tools.iter().map(entry).collect();
        let by_name = entries.iter().enumerate().map(|(i, e)| (e.tool.facts.name, i)).collect();
        Self { entries, by_name }
    }
    pub fn get(&self, name: &str) -> Option<&Entry> {
        self.by_name.get(name).and_then(|i| self.entries.get(*i))
    }
}

fn entry(tool: &'static Tool) -> Entry {
    let mut input = Value::from((tool.input)());
    let description = input.as_object_mut().and_then(|o| o.remove("description")).unwrap_or_default();
    let properties: Vec<String> =
        input.get("properties").and_then(Value::as_object).map(|p| p.keys().cloned().collect()).unwrap_or_default();
    publish_common(tool, &mut input);
    let access = tool.facts.access;
    let tail = json!({
        "title": tool.title,
        "description": description,
        "inputSchema": input,
        "outputSchema": Value::from((tool.output)()),
        "annotations": {
            "title": tool.title,
            "readOnlyHint": access == Access::Read,
            "destructiveHint": access == Access::Destructive,
            "idempotentHint": access == Access::Read,
            "openWorldHint": tool.facts.on_instance(),
        },
    });
    // `{"title":…}` becomes `name","title":…}`.
    let tail = tail.to_string().replacen('{', &format!("{}\",", tool.facts.name), 1);
    let carries = (tool.facts.name == auto_context::TOOL).then(|| description_end(&tail, &description)).flatten();
    Entry { tool, properties, tail, carries }
}

fn description_end(tail: &str, description: &Value) -> Option<usize> {
    let member = format!("\"description\":{description}");
    // Before the quote that closes it.
    tail.find(&member).map(|at| at + member.len() - 1)
}

/// Adds the common arguments that a model needs. The others are accepted, and explained once in the server's instructions.
fn publish_common(tool: &Tool, input: &mut Value) {
    let Some(object) = input.as_object_mut() else { return };
    let properties = object.entry("properties").or_insert_with(|| json!({}));
    let Some(properties) = properties.as_object_mut() else { return };
    if tool.facts.access > Access::Read {
        properties.insert("confirm".into(), json!({"type": "boolean"}));
        properties.insert("dry_run".into(), json!({"type": "boolean"}));
    }
    if takes_context(tool) {
        properties.insert("context".into(), json!({"type": "object"}));
    }
}

/// Tools whose answer depends on language, time zone or company.
fn takes_context(tool: &Tool) -> bool {
    matches!(
        tool.facts.category,
        Category::Orm | Category::Search | Category::Metadata | Category::Export | Category::Attachments | Category::Reports
    ) && tool.facts.name != "get_instance_info"
}

/// What an endpoint shows of what the caller may use: the URL of one instance, and the filters in the query.
#[derive(Debug, Clone, Default)]
pub struct View {
    one: Option<Arc<str>>,
    instances: Option<BTreeSet<String>>,
    categories: Option<BTreeSet<Category>>,
}
/// A view as the URL says it.
#[derive(Debug, Clone, Copy, Default)]
pub struct ViewQuery<'a> {
    /// The slug of `/mcp/i/{slug}`.
    pub one: Option<&'a str>,
    /// `?instances=a,b`
    pub instances: Option<&'a str>,
    /// `?categories=orm,sql`
    pub categories: Option<&'a str>,
}
impl View {
    /// Whether tools are named without an instance's prefix.
    pub fn is_one(&self) -> bool {
        self.one.is_some()
    }
    /// # Errors
    /// An unknown instance or category is refused by name, never an empty list.
    pub fn parse(query: &ViewQuery, actor: &Actor, snapshot: &Snapshot) -> Result<Self, Refusal> {
        let known = |slug: &str| snapshot.instance(slug).filter(|i| policy::visible(actor, i));
        let unknown = |slug: &str| {
            let shown: String = slug.chars().take(40).collect();
            let names: Vec<&str> =
                snapshot.instances(actor.org()).iter().filter(|i| policy::visible(actor, i)).map(|i| &*i.slug).collect();
            refusal(Code::InvalidArgument, format!("There is no instance \"{shown}\" for this key.")).next(if names.is_empty() {
                "This key may use no instance.".to_owned()
            } else {
                format!("It may use {}.", names.join(", "))
            })
        };
        let one = match query.one {
            Some(slug) => Some(Arc::clone(&known(slug).ok_or_else(|| unknown(slug))?.slug)),
            None => None,
        };
        let instances = match query.instances {
            Some(list) => {
                let mut set = BTreeSet::new();
                for slug in words(list) {
                    set.insert(known(slug).ok_or_else(|| unknown(slug))?.slug.to_string());
                }
                Some(set)
            }
            None => None,
        };
        let categories = match query.categories {
            Some(list) => {
                let parsed = words(list).map(|w| w.parse::<Category>().map_err(|e| refusal(Code::InvalidArgument, e)));
                Some(parsed.collect::<Result<_, _>>()?)
            }
            None => None,
        };
        Ok(Self { one, instances, categories })
    }
    fn shows_instance(&self, slug: &str) -> bool {
        self.one.as_deref().is_none_or(|one| one == slug) && self.instances.as_ref().is_none_or(|set| set.contains(slug))
    }
    pub(crate) fn shows_category(&self, category: Category) -> bool {
        self.categories.as_ref().is_none_or(|set| set.contains(&category))
    }
    /// The instances of this view that the actor may see, archived ones aside.
    pub fn instances<'a>(&'a self, actor: &'a Actor, snapshot: &'a Snapshot) -> impl Iterator<Item = &'a Arc<Instance>> + 'a {
        snapshot
            .instances(actor.org())
            .iter()
            .filter(|i| policy::visible(actor, i) && i.state != kernel::InstanceState::Archived && self.shows_instance(&i.slug))
    }
}

fn words(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|w| !w.is_empty())
}

/// A listed tool.
pub struct Listed<'a> {
    /// Empty for platform tools and one-instance views, else the prefix with its underscore.
    pub prefix: String,
    pub entry: &'a Entry,
}

impl Catalogue {
    /// The tools that [`policy::decide`] permits, platform first, then by instance.
    pub fn list<'a>(&'a self, actor: &Arc<Actor>, view: &View, snapshot: &Snapshot, now: Timestamp) -> Vec<Listed<'a>> {
        let mut listed = Vec::new();
        self.each(actor, view, snapshot, now, |prefix, entry, _| listed.push(Listed { prefix: prefix.to_owned(), entry }));
        listed
    }

    /// Writes the JSON array of the listed tools, allocating nothing but the growth of `out` and what auto-context adds.
    pub fn write_list(&self, actor: &Arc<Actor>, view: &View, snapshot: &Snapshot, now: Timestamp, out: &mut Vec<u8>) {
        out.push(b'[');
        let mut first = true;
        let known = self.get(auto_context::TOOL).and_then(|e| AutoContext::of(actor, e.tool, snapshot));
        self.each(actor, view, snapshot, now, |prefix, entry, instance| {
            if !std::mem::take(&mut first) {
                out.push(b',');
            }
            out.extend_from_slice(b"{\"name\":\"");
            out.extend_from_slice(prefix.as_bytes());
            let about = entry.carries.and_then(|at| Some((entry.tail.split_at_checked(at)?, known.as_ref()?.about(instance?)?)));
            match about {
                None => out.extend_from_slice(entry.tail.as_bytes()),
                Some(((head, rest), about)) => {
                    out.extend_from_slice(head.as_bytes());
                    out.push(b' ');
                    out.extend_from_slice(auto_context::inside_json(&about).as_bytes());
                    out.extend_from_slice(rest.as_bytes());
                }
            }
        });
        out.push(b']');
    }

    fn each<'a>(
        &'a self,
        actor: &Arc<Actor>,
        view: &View,
        snapshot: &Snapshot,
        now: Timestamp,
        mut take: impl FnMut(&str, &'a Entry, Option<&Instance>),
    ) {
        if !view.is_one() {
            for entry in self.entries.iter().filter(|e| !e.tool.facts.on_instance() && view.shows_category(e.tool.facts.category))
            {
                if policy::decide(actor, &entry.tool.facts, None, now).is_ok() {
                    take("", entry, None);
                }
            }
        }
        for instance in view.instances(actor, snapshot) {
            let prefix = if view.is_one() { String::new() } else { instance.prefix() + "_" };
            for entry in self.entries.iter().filter(|e| e.tool.facts.on_instance() && view.shows_category(e.tool.facts.category))
            {
                if policy::decide(actor, &entry.tool.facts, Some(instance), now).is_ok() {
                    take(&prefix, entry, Some(instance));
                }
            }
        }
    }

    /// Stage 1: the tool and the instance that a name means in this view. What is outside is unknown.
    pub fn resolve(
        &self,
        full_name: &str,
        actor: &Actor,
        view: &View,
        snapshot: &Snapshot,
    ) -> Result<(&Entry, Option<Arc<Instance>>), Refusal> {
        let unknown = || policy::unknown_tool(full_name);
        let shown = |entry: &Entry| view.shows_category(entry.tool.facts.category);
        let instance = |slug: &str| {
            snapshot
                .instance(slug)
                .filter(|i| policy::visible(actor, i) && i.state != kernel::InstanceState::Archived && view.shows_instance(slug))
        };
        if let Some(one) = &view.one {
            let entry = self.get(full_name).filter(|e| e.tool.facts.on_instance() && shown(e)).ok_or_else(unknown)?;
            return Ok((entry, Some(Arc::clone(instance(one).ok_or_else(unknown)?))));
        }
        if let Some(entry) = self.get(full_name).filter(|e| !e.tool.facts.on_instance()) {
            return if shown(entry) { Ok((entry, None)) } else { Err(unknown()) };
        }
        if full_name.len() > name::MAX_TOOL_NAME {
            return Err(unknown());
        }
        // A slug has no underscore, so a prefix is exactly one slug; ambiguous slugs were refused when they were made.
        for (at, _) in full_name.match_indices('_') {
            let (prefix, rest) = full_name.split_at(at);
            let Some(entry) =
                rest.strip_prefix('_').and_then(|tool| self.get(tool)).filter(|e| e.tool.facts.on_instance() && shown(e))
            else {
                continue;
            };
            if let Some(found) = instance(&prefix.replace('_', "-")) {
                return Ok((entry, Some(Arc::clone(found))));
            }
        }
        Err(unknown())
    }
}
