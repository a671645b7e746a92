//! A view's architecture as it is shown: without comments, layout and what Odoo adds for its own client, without fields that are
//! withheld, and within a size, always well-formed.
use std::collections::{BTreeMap, BTreeSet};

use quick_xml::{
    Reader as Xml,
    events::{BytesStart, Event},
};

/// Elements within each other. Odoo's own views have some twenty.
const DEEPEST: usize = 100;
/// What Odoo adds for its web client; all of it follows from the fields and the other attributes.
const FOR_THE_CLIENT: [&str; 6] = ["modifiers", "on_change", "can_create", "can_write", "__validate__", "data-used-by"];
/// Attributes that people read; they may speak of a password.
const FOR_PEOPLE: [&str; 8] = ["string", "help", "title", "placeholder", "class", "confirm", "alt", "aria-label"];

/// Text and values stay escaped as they came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Node {
    pub name: String,
    pub attributes: Vec<(String, String)>,
    pub children: Vec<Child>,
}
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Child {
    Node(Node),
    Text(String),
}

impl Node {
    /// None when it is no XML, or nested beyond reason.
    pub(super) fn parse(arch: &str) -> Option<Self> {
        let mut xml = Xml::from_str(arch);
        let mut open: Vec<Self> = vec![Self::default()];
        loop {
            match xml.read_event().ok()? {
                Event::Start(start) => {
                    if open.len() > DEEPEST {
                        return None;
                    }
                    open.push(Self::of(&start)?);
                }
                Event::Empty(start) => open.last_mut()?.children.push(Child::Node(Self::of(&start)?)),
                Event::End(_) => {
                    let mut done = open.pop()?;
                    done.settle();
                    open.last_mut()?.children.push(Child::Node(done));
                }
                Event::Text(text) => open.last_mut()?.say(&text),
                Event::GeneralRef(entity) => open.last_mut()?.say(&format!("&{};", &*entity)),
                Event::CData(data) => open.last_mut()?.say(&quick_xml::escape::escape(&*data)),
                Event::Comment(_) | Event::PI(_) | Event::Decl(_) | Event::DocType(_) => {}
                Event::Eof => break,
            }
        }
        let outer = open.pop()?;
        if !open.is_empty() {
            return None;
        }
        outer.children.into_iter().find_map(|child| match child {
            Child::Node(node) => Some(node),
            Child::Text(_) => None,
        })
    }
    fn of(start: &BytesStart<'_>) -> Option<Self> {
        let mut attributes = Vec::new();
        for attribute in start.attributes() {
            let attribute = attribute.ok()?;
            let (name, value) = (attribute.key.0.to_owned(), attribute.value.to_string());
            if !FOR_THE_CLIENT.contains(&name.as_str()) {
                attributes.push((name, value));
            }
        }
        Some(Self { name: start.name().0.to_owned(), attributes, children: Vec::new() })
    }
    /// Texts come in pieces, broken at comments and entities.
    fn say(&mut self, text: &str) {
        match self.children.last_mut() {
            Some(Child::Text(before)) => before.push_str(text),
            _ => self.children.push(Child::Text(text.to_owned())),
        }
    }
    /// Blank space is layout; between words it is one space.
    fn settle(&mut self) {
        for child in &mut self.children {
            if let Child::Text(text) = child {
                *text = text.split_whitespace().collect::<Vec<_>>().join(" ");
            }
        }
        self.children.retain(|child| !matches!(child, Child::Text(text) if text.is_empty()));
    }

    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }
    /// The field whose record, or records, what stands within is about.
    pub(super) fn field(&self) -> Option<&str> {
        matches!(self.name.as_str(), "field" | "groupby").then(|| self.attribute("name")).flatten()
    }
    fn elements_mut(&mut self) -> impl Iterator<Item = &mut Self> {
        self.children.iter_mut().filter_map(|child| match child {
            Child::Node(node) => Some(node),
            Child::Text(_) => None,
        })
    }

    /// Puts a view of a relation where its field first stands: up to 15 Odoo sends those apart.
    pub(super) fn embed(&mut self, field: &str, view: &Self) -> bool {
        for node in self.elements_mut() {
            if node.field() == Some(field) {
                node.children.push(Child::Node(view.clone()));
                return true;
            }
            // What stands within another field is about another model.
            if node.field().is_none() && node.embed(field, view) {
                return true;
            }
        }
        false
    }

    /// The fields of this model that hold views of others.
    pub(super) fn holding(&self) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for child in &self.children {
            if let Child::Node(node) = child {
                match node.field() {
                    Some(field) if !node.children.is_empty() => {
                        found.insert(field.to_owned());
                    }
                    Some(_) => {}
                    None => found.extend(node.holding()),
                }
            }
        }
        found
    }

    /// All that stands within a field of this model, put together.
    pub(super) fn collect(&self, field: &str, into: &mut Self) {
        for child in &self.children {
            if let Child::Node(node) = child {
                match node.field() {
                    Some(name) if name == field => into.children.extend(node.children.iter().cloned()),
                    Some(_) => {}
                    None => node.collect(field, into),
                }
            }
        }
    }

    /// Takes out fields that are withheld, attributes that compute with them, and views within fields other than `within`.
    pub(super) fn strip(&mut self, withheld: &BTreeSet<String>, within: &BTreeMap<String, Inner>) {
        self.children.retain(|child| !matches!(child, Child::Node(node) if node.field().is_some_and(|f| withheld.contains(f))));
        self.forget(withheld);
        for node in self.elements_mut() {
            let Some(field) = node.field().map(str::to_owned) else {
                node.strip(withheld, within);
                continue;
            };
            node.forget(withheld);
            match within.get(&field) {
                Some(inner) => node.strip(&inner.withheld, &inner.within),
                None => node.children.clear(),
            }
        }
    }
    fn forget(&mut self, withheld: &BTreeSet<String>) {
        if !withheld.is_empty() {
            self.attributes.retain(|(name, value)| FOR_PEOPLE.contains(&name.as_str()) || !mentions(value, withheld));
        }
    }

    /// The text, elements left out at the end once it is longer than `most` bytes.
    pub(super) fn write(&self, most: usize) -> String {
        let mut out = String::new();
        self.write_to(&mut out, most);
        out
    }
    fn write_to(&self, out: &mut String, most: usize) {
        out.push('<');
        out.push_str(&self.name);
        for (name, value) in &self.attributes {
            let quote = if value.contains('"') { '\'' } else { '"' };
            out.push(' ');
            out.push_str(name);
            out.push('=');
            out.push(quote);
            out.push_str(value);
            out.push(quote);
        }
        if self.children.is_empty() {
            out.push_str("/>");
            return;
        }
        out.push('>');
        for child in &self.children {
            if out.len() >= most {
                break;
            }
            match child {
                Child::Node(node) => node.write_to(out, most),
                Child::Text(text) => out.push_str(text),
            }
        }
        out.push_str("</");
        out.push_str(&self.name);
        out.push('>');
    }
}

/// What may be seen of the views within a field.
#[derive(Debug, Default)]
pub(super) struct Inner {
    pub withheld: BTreeSet<String>,
    pub within: BTreeMap<String, Inner>,
}

/// Whether one of the names stands in the text as a word of its own.
pub(super) fn mentions(text: &str, names: &BTreeSet<String>) -> bool {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).any(|word| names.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &[&str]) -> BTreeSet<String> {
        list.iter().map(|n| (*n).to_owned()).collect()
    }
    fn shown(arch: &str) -> String {
        Node::parse(arch).unwrap().write(usize::MAX)
    }

    #[test]
    fn layout_comments_and_the_client_s_attributes_go() {
        assert_eq!(
            shown(
                "<?xml version=\"1.0\"?>\n<form string=\"A &amp; B\">\n  <!-- x -->\n  <field name=\"a\" on_change=\"1\" modifiers=\"{&quot;readonly&quot;: true}\"/> two\n  words &lt; three <![CDATA[a<b]]>\n <group>\n </group></form>"
            ),
            "<form string=\"A &amp; B\"><field name=\"a\"/>two words &lt; three a&lt;b<group/></form>"
        );
        assert_eq!(shown("<a b='say \"x\"'/>"), "<a b='say \"x\"'/>");
        for bad in ["", "no xml", "<a><b></a>", "<a b=c/>", "<a>&x</a>", &"<a>".repeat(500)] {
            assert_eq!(Node::parse(bad), None, "{bad:.20}");
        }
    }

    #[test]
    fn a_cut_view_is_well_formed() {
        let node = Node::parse(&format!("<form><group>{}</group><sheet/></form>", "<field name=\"a\"/>".repeat(100))).unwrap();
        let cut = node.write(200);
        assert!(cut.len() < 300 && Node::parse(&cut).is_some(), "{cut}");
        assert!(node.write(usize::MAX).ends_with("<sheet/></form>"));
    }

    #[test]
    fn withheld_fields_and_views_of_others_go() {
        let arch = "<form><field name=\"name\" invisible=\"not token\" string=\"Your token\"/><div><field name=\"token\"/></div>\
                    <label for=\"token\"/><field name=\"line_ids\"><list><field name=\"secret\"/><field name=\"qty\"/>\
                    <field name=\"tag_ids\"><kanban/></field></list></field><field name=\"other_ids\"><list><field name=\"x\"/></list></field></form>";
        let mut node = Node::parse(arch).unwrap();
        assert_eq!(node.holding(), names(&["line_ids", "other_ids"]));
        let within = BTreeMap::from([("line_ids".to_owned(), Inner { withheld: names(&["secret"]), within: BTreeMap::new() })]);
        node.strip(&names(&["token"]), &within);
        assert_eq!(
            node.write(usize::MAX),
            "<form><field name=\"name\" string=\"Your token\"/><div/><label/><field name=\"line_ids\"><list><field name=\"qty\"/>\
             <field name=\"tag_ids\"/></list></field><field name=\"other_ids\"/></form>"
        );
    }

    #[test]
    fn views_that_came_apart_are_put_in_their_field() {
        let mut node = Node::parse("<form><group><field name=\"a\"><x/></field><field name=\"lines\"/></group></form>").unwrap();
        assert!(node.embed("lines", &Node::parse("<tree><field name=\"q\"/></tree>").unwrap()));
        assert!(!node.embed("nope", &Node::default()));
        assert_eq!(
            node.write(usize::MAX),
            "<form><group><field name=\"a\"><x/></field><field name=\"lines\"><tree><field name=\"q\"/></tree></field></group></form>"
        );
    }
}
