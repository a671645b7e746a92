use std::collections::BTreeSet;

use backends::odoo::{View, ViewRecord};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::contract::{self as tool, *};

/// The views of a model as its users get them (XML with all extensions put in), and which views extend them. Without view_type form, list, search and kanban.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetModelViews {
    model: String,
    view_type: Option<ViewType>,
}
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum ViewType {
    Form,
    List,
    Tree,
    Search,
    Kanban,
    Calendar,
    Pivot,
    Graph,
    Activity,
}
impl ViewType {
    /// Forms are the largest: they get the room that the others leave.
    const USUAL: [Self; 4] = [Self::List, Self::Search, Self::Kanban, Self::Form];
    const fn as_str(self) -> &'static str {
        match self {
            Self::Form => "form",
            Self::List => "list",
            Self::Tree => "tree",
            Self::Search => "search",
            Self::Kanban => "kanban",
            Self::Calendar => "calendar",
            Self::Pivot => "pivot",
            Self::Graph => "graph",
            Self::Activity => "activity",
        }
    }
}
#[derive(Debug, Serialize, JsonSchema)]
pub struct Views {
    pub model: String,
    pub views: Vec<Shown>,
    /// Of the same types; a menu or a field may ask for them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub other_views: Vec<Listed>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}
#[derive(Debug, Serialize, JsonSchema)]
pub struct Shown {
    /// As this Odoo calls it: list is tree up to 17.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Absent: none is defined, and Odoo makes one up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub xml_id: Option<String>,
    /// Comments, layout and attributes for Odoo's own client left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arch: Option<String>,
    /// Bytes of the whole, where its end is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arch_cut_from: Option<usize>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub extended_by: Vec<Listed>,
}
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Listed {
    pub id: i64,
    pub name: String,
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub xml_id: Option<String>,
    /// Absent: made in Odoo.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub module: Option<String>,
    pub priority: i64,
    /// The view that it changes or copies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inherit_id: Option<i64>,
    pub active: bool,
}
impl Answer for Views {
    const LIST: Option<&'static str> = Some("views");
    fn affected(&self) -> Option<u64> {
        Some(self.views.len() as u64)
    }
}
impl From<&ViewRecord> for Listed {
    fn from(record: &ViewRecord) -> Self {
        Self {
            id: record.id,
            name: record.name.clone(),
            kind: record.kind.clone(),
            module: record.xml_id.as_deref().and_then(|x| x.split_once('.')).map(|(module, _)| module.to_owned()),
            xml_id: record.xml_id.clone(),
            priority: record.priority,
            inherit_id: record.inherits,
            active: record.active,
        }
    }
}

/// Bytes of one view that was asked for; of all together when several are told, and of each but the form. It stays within the usual
/// size of an answer.
const ONE: usize = 40_000;
const ALL: usize = 36_000;
const EACH: usize = 10_000;

/// The extensions that go into a view: those of itself, of what it is copied from, and of each other.
fn extensions(records: &[ViewRecord], id: i64) -> Vec<&ViewRecord> {
    let mut into = BTreeSet::from([id]);
    let mut at = id;
    while let Some(parent) = records.iter().find(|r| r.id == at).and_then(|r| r.inherits)
        && into.insert(parent)
    {
        at = parent;
    }
    loop {
        let more: Vec<i64> = records
            .iter()
            .filter(|r| r.extension && !into.contains(&r.id) && r.inherits.is_some_and(|p| into.contains(&p)))
            .map(|r| r.id)
            .collect();
        if more.is_empty() {
            break;
        }
        into.extend(more);
    }
    records.iter().filter(|r| r.extension && r.id != id && into.contains(&r.id)).collect()
}
fn shown(view: View, records: &[ViewRecord]) -> Shown {
    let own = view.id.and_then(|id| records.iter().find(|r| r.id == id));
    Shown {
        kind: view.kind,
        id: view.id,
        name: own.map(|r| r.name.clone()),
        xml_id: own.and_then(|r| r.xml_id.clone()),
        arch: view.arch,
        arch_cut_from: view.cut_from,
        extended_by: view.id.map(|id| extensions(records, id)).unwrap_or_default().into_iter().map(Listed::from).collect(),
    }
}
impl ReadTool for GetModelViews {
    type Answer = Views;
    async fn call(self, cx: &ReadCx) -> Result<Views> {
        let odoo = cx.odoo()?;
        let asked = self.view_type.map_or_else(|| ViewType::USUAL.to_vec(), |one| vec![one]);
        let (mut found, mut notes, mut refused) = (Vec::new(), Vec::new(), None);
        let mut room = ALL;
        for kind in &asked {
            let most = match kind {
                _ if asked.len() == 1 => ONE,
                ViewType::Form => room,
                _ => EACH.min(room),
            };
            match odoo.model_view(&self.model, kind.as_str(), most).await {
                Ok(mut view) => {
                    notes.append(&mut view.notes);
                    room = room.saturating_sub(view.arch.as_ref().map_or(0, String::len));
                    if let Some(whole) = view.cut_from {
                        let rest = if asked.len() > 1 {
                            format!("ask for view_type \"{}\" alone to get up to {ONE}", kind.as_str())
                        } else {
                            "get_field_metadata tells all fields".to_owned()
                        };
                        notes.push(format!("The end of the {} view is left out ({whole} bytes in all): {rest}.", view.kind));
                    }
                    found.push(view);
                }
                // A type that the model has not; or nothing of it may be read, and then of no type.
                Err(fault) if matches!(fault.code(), Code::NotFound | Code::OdooError) => {
                    notes.push(fault.public().message.into_owned());
                    refused.get_or_insert(fault);
                }
                Err(fault) => return Err(fault),
            }
        }
        if let (true, Some(fault)) = (found.is_empty(), refused) {
            return Err(fault);
        }
        let records = match odoo.view_records(&self.model).await? {
            Ok(records) => records,
            Err(why) => {
                notes.push(format!("What extends the views is not told: {why}"));
                Vec::new()
            }
        };
        found.sort_by_key(|view| view.kind != "form");
        let views: Vec<Shown> = found.into_iter().map(|view| shown(view, &records)).collect();
        let other_views = records
            .iter()
            .filter(|r| !r.extension && views.iter().any(|v| v.kind == r.kind) && views.iter().all(|v| v.id != Some(r.id)))
            .map(Listed::from)
            .collect();
        Ok(Views { model: self.model, views, other_views, notes })
    }
}
pub const TOOL: Tool = tool::read::<GetModelViews>("Views of a model");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extensions_of_extensions_and_of_the_original_count() {
        let view = |id, inherits, extension| ViewRecord { id, inherits, extension, ..ViewRecord::default() };
        let records = [
            view(1, None, false),
            view(2, Some(1), true),
            view(3, Some(2), true),
            view(4, Some(1), false),
            view(5, Some(4), true),
            view(6, None, false),
            view(7, Some(6), true),
        ];
        let of = |id| extensions(&records, id).iter().map(|r| r.id).collect::<Vec<_>>();
        assert_eq!(of(1), [2, 3], "a copy's extensions are not the original's");
        assert_eq!(of(4), [2, 3, 5]);
        assert_eq!(of(6), [7]);
        assert!(of(99).is_empty());
        let circle = [view(1, Some(2), true), view(2, Some(1), true)];
        assert_eq!(extensions(&circle, 1).len(), 1);
    }
}
