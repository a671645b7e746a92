//! The tree of module categories.
use std::collections::HashMap;

use backends::odoo::ModuleCategory;
use kernel::{Code, Refusal, refusal};

/// `Sales / CRM`, by id.
pub fn paths(categories: &[ModuleCategory]) -> HashMap<i64, String> {
    let by_id: HashMap<i64, &ModuleCategory> = categories.iter().map(|c| (c.id, c)).collect();
    let path = |category: &ModuleCategory| {
        let mut names = vec![category.name.as_str()];
        let mut above = category.parent;
        // Odoo permits no circle; a deeper tree than this is none.
        while let Some(parent) = above.and_then(|id| by_id.get(&id)).filter(|_| names.len() < 10) {
            names.push(parent.name.as_str());
            above = parent.parent;
        }
        names.reverse();
        names.join(" / ")
    };
    categories.iter().map(|c| (c.id, path(c))).collect()
}

/// The categories of that name or path, and all below them.
pub fn below(wanted: &str, categories: &[ModuleCategory], paths: &HashMap<i64, String>) -> Result<Vec<i64>, Refusal> {
    let plain = |text: &str| text.split('/').map(str::trim).collect::<Vec<_>>().join("/").to_lowercase();
    let wanted_path = plain(wanted);
    let path_of = |c: &ModuleCategory| paths.get(&c.id).map(|p| plain(p)).unwrap_or_default();
    let roots: Vec<i64> =
        categories.iter().filter(|c| plain(&c.name) == wanted_path || path_of(c) == wanted_path).map(|c| c.id).collect();
    if roots.is_empty() {
        let mut near: Vec<&str> = categories
            .iter()
            .filter(|c| {
                let name = c.name.to_lowercase();
                !name.is_empty() && (name.contains(&wanted_path) || strsim::jaro_winkler(&name, &wanted_path) > 0.85)
            })
            .filter_map(|c| paths.get(&c.id).map(String::as_str))
            .collect();
        near.sort_unstable();
        near.truncate(5);
        let next = match near.as_slice() {
            [] => "module_categories names them all.".to_owned(),
            near => format!("Did you mean {}? module_categories names them all.", near.join(", ")),
        };
        let shown: String = wanted.chars().take(60).collect();
        return Err(refusal(Code::NotFound, format!("There is no module category \"{shown}\".")).next(next));
    }
    Ok(descend(roots, categories))
}
/// A category and all below it.
pub fn with_those_below(root: i64, categories: &[ModuleCategory]) -> Vec<i64> {
    descend(vec![root], categories)
}
fn descend(mut all: Vec<i64>, categories: &[ModuleCategory]) -> Vec<i64> {
    let mut at = 0;
    while let Some(id) = all.get(at).copied() {
        let children: Vec<i64> =
            categories.iter().filter(|c| c.parent == Some(id) && !all.contains(&c.id)).map(|c| c.id).collect();
        all.extend(children);
        at += 1;
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn categories() -> Vec<ModuleCategory> {
        let category = |id, name: &str, parent| ModuleCategory { id, name: name.to_owned(), parent };
        vec![category(1, "Sales", None), category(2, "CRM", Some(1)), category(3, "Sales", Some(4)), category(4, "Hidden", None)]
    }

    #[test]
    fn a_category_is_found_by_name_or_path_with_those_below() {
        let all = categories();
        let paths = paths(&all);
        assert_eq!(paths[&2], "Sales / CRM");
        assert_eq!(below("sales", &all, &paths).unwrap(), [1, 3, 2]);
        assert_eq!(below("Sales/CRM", &all, &paths).unwrap(), [2]);
        assert_eq!(below("hidden", &all, &paths).unwrap(), [4, 3]);
        let refused = below("Sale", &all, &paths).unwrap_err();
        assert!(refused.code == Code::NotFound && refused.next.contains("Sales"), "{refused:?}");
    }

    #[test]
    fn a_circle_ends() {
        let mut all = categories();
        all[0].parent = Some(2);
        assert!(paths(&all)[&1].len() < 200);
        assert_eq!(below("crm", &all, &paths(&all)).unwrap(), [2, 1]);
    }
}
