//! Who needs whom among the modules of an instance, and what an operation takes along by Odoo's own rules.
use std::collections::{BTreeMap, BTreeSet, HashMap};

use backends::odoo::{ModuleLink, ModuleState};

/// The modules by name, with their dependencies.
pub struct Graph<'a> {
    modules: HashMap<&'a str, &'a ModuleState>,
    /// By module: what it needs, and whether that one triggers its own installation.
    needs: HashMap<&'a str, Vec<(&'a str, bool)>>,
    needed_by: HashMap<&'a str, Vec<&'a str>>,
}

/// How far from where it started a module was found, by name.
pub type Distances<'a> = BTreeMap<&'a str, usize>;

/// What an installation would do.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Installation<'a> {
    /// Modules that get installed, with those that were asked for.
    pub modules: BTreeSet<&'a str>,
    /// Of them, those that nobody asked for and nobody needs: they install themselves once all is there that they wait for.
    pub automatic: BTreeSet<&'a str>,
    /// Needed by one of them and not known to Odoo: (who needs it, what).
    pub missing: Vec<(&'a str, &'a str)>,
    /// Needed by one of them and not to be installed.
    pub uninstallable: BTreeSet<&'a str>,
}

impl<'a> Graph<'a> {
    pub fn new(modules: &'a [ModuleState], links: &'a [ModuleLink]) -> Self {
        let by_id: HashMap<i64, &'a str> = modules.iter().map(|m| (m.id, m.name.as_str())).collect();
        let mut needs: HashMap<&'a str, Vec<(&'a str, bool)>> = HashMap::new();
        let mut needed_by: HashMap<&'a str, Vec<&'a str>> = HashMap::new();
        for link in links {
            let Some(module) = by_id.get(&link.module) else { continue };
            needs.entry(module).or_default().push((link.needs.as_str(), link.triggers));
            needed_by.entry(link.needs.as_str()).or_default().push(module);
        }
        Self { modules: modules.iter().map(|m| (m.name.as_str(), m)).collect(), needs, needed_by }
    }

    pub fn module(&self, name: &str) -> Option<&'a ModuleState> {
        self.modules.get(name).copied()
    }
    /// What it needs itself, by name.
    pub fn needs(&self, name: &str) -> impl Iterator<Item = &'a str> + '_ {
        self.needs.get(name).into_iter().flatten().map(|(name, _)| *name)
    }
    fn needed_by(&self, name: &str) -> impl Iterator<Item = &'a str> + '_ {
        self.needed_by.get(name).into_iter().flatten().copied()
    }

    /// All that these need, directly or through others; without them.
    pub fn upstream(&self, names: &[&'a str], recursive: bool) -> Distances<'a> {
        Self::walk(names, recursive, |name| self.needs(name).collect())
    }
    /// All that need these; without them.
    pub fn downstream(&self, names: &[&'a str], recursive: bool) -> Distances<'a> {
        Self::walk(names, recursive, |name| self.needed_by(name).collect())
    }
    fn walk(names: &[&'a str], recursive: bool, next: impl Fn(&str) -> Vec<&'a str>) -> Distances<'a> {
        let mut found = Distances::new();
        let mut layer: Vec<&'a str> = names.to_vec();
        let mut distance = 0;
        while !layer.is_empty() && (recursive || distance == 0) {
            distance += 1;
            let mut further = Vec::new();
            for name in layer.iter().flat_map(|name| next(name)) {
                if !names.contains(&name) && !found.contains_key(name) {
                    found.insert(name, distance);
                    further.push(name);
                }
            }
            layer = further;
        }
        found
    }

    /// What gets upgraded with these: all installed modules that stand on them. On `base` everything stands.
    pub fn upgraded(&self, names: &[&'a str]) -> BTreeSet<&'a str> {
        let installed = |name: &&'a str| self.module(name).is_some_and(ModuleState::present);
        if names.contains(&"base") {
            return self.modules.keys().copied().filter(installed).collect();
        }
        // Through installed ones alone: what needs a module that is not installed is not installed either.
        names.iter().copied().chain(self.downstream(names, true).into_keys()).filter(installed).collect()
    }

    /// What gets installed with these by Odoo's rules (14 to 19, `button_install`): what they need, and then in turn what installs
    /// itself. `foreign` are modules for other countries, which never install themselves.
    pub fn installed(&self, names: &[&'a str], foreign: &BTreeSet<i64>) -> Installation<'a> {
        let mut made = Installation::default();
        let mut wanted: Vec<&'a str> = names.to_vec();
        while !wanted.is_empty() {
            self.mark(wanted, &mut made);
            let candidates = self.modules.values().filter(|m| {
                m.auto_install && m.state == "uninstalled" && !made.modules.contains(m.name.as_str()) && !foreign.contains(&m.id)
            });
            wanted = candidates.map(|m| m.name.as_str()).filter(|name| self.is_complete(name, &made.modules)).collect();
            wanted.sort_unstable();
            made.automatic.extend(&wanted);
        }
        made
    }
    fn mark(&self, mut wanted: Vec<&'a str>, made: &mut Installation<'a>) {
        let mut seen: BTreeSet<&'a str> = BTreeSet::new();
        while let Some(name) = wanted.pop() {
            if !seen.insert(name) {
                continue;
            }
            let Some(module) = self.module(name) else { continue };
            match module.state.as_str() {
                "uninstalled" => {
                    made.modules.insert(module.name.as_str());
                }
                "uninstallable" => {
                    made.uninstallable.insert(module.name.as_str());
                }
                _ => {}
            }
            for need in self.needs(name) {
                if self.module(need).is_none() {
                    made.missing.push((module.name.as_str(), need));
                }
                wanted.push(need);
            }
        }
    }
    /// Whether all that triggers it is installed or about to be, and something of it is about to be.
    fn is_complete(&self, name: &str, about_to: &BTreeSet<&'a str>) -> bool {
        let mut news = false;
        for (need, triggers) in self.needs.get(name).into_iter().flatten() {
            if !triggers {
                continue;
            }
            let now = about_to.contains(need);
            news |= now;
            if !now && !self.module(need).is_some_and(|m| matches!(m.state.as_str(), "installed" | "to upgrade" | "to install")) {
                return false;
            }
        }
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn modules() -> Vec<ModuleState> {
        let module = |id: i64, name: &str, state: &str, auto_install: bool| ModuleState {
            id,
            name: name.to_owned(),
            title: name.to_uppercase(),
            state: state.to_owned(),
            version: None,
            auto_install,
            written: String::new(),
        };
        vec![
            module(1, "base", "installed", true),
            module(2, "mail", "installed", false),
            module(3, "crm", "uninstalled", false),
            module(4, "sale", "uninstalled", false),
            module(5, "sale_crm", "uninstalled", true),
            module(6, "sale_crm_x", "uninstalled", true),
            module(7, "l10n_xx", "uninstalled", true),
            module(8, "broken", "uninstalled", false),
            module(9, "old", "uninstallable", false),
            module(10, "needs_old", "uninstalled", false),
        ]
    }
    fn links() -> Vec<ModuleLink> {
        let link = |module, needs: &str, triggers| ModuleLink { module, needs: needs.to_owned(), triggers };
        vec![
            link(2, "base", true),
            link(3, "mail", true),
            link(4, "base", true),
            link(5, "sale", true),
            link(5, "crm", true),
            link(6, "sale_crm", true),
            link(6, "mail", false),
            link(7, "sale", true),
            link(8, "nowhere", true),
            link(10, "old", true),
        ]
    }

    #[test]
    fn an_installation_takes_along_what_is_needed_and_what_installs_itself() {
        let (modules, links) = (modules(), links());
        let graph = Graph::new(&modules, &links);
        let none = BTreeSet::new();
        assert_eq!(graph.installed(&["crm"], &none).modules, BTreeSet::from(["crm"]));
        let both = graph.installed(&["crm", "sale"], &BTreeSet::from([7]));
        assert_eq!(both.modules, BTreeSet::from(["crm", "sale", "sale_crm", "sale_crm_x"]));
        assert_eq!(both.automatic, BTreeSet::from(["sale_crm", "sale_crm_x"]), "in turn, and none of another country");
        assert!(graph.installed(&["sale"], &none).automatic.contains("l10n_xx"));
        assert_eq!(graph.installed(&["broken"], &none).missing, [("broken", "nowhere")]);
        assert_eq!(graph.installed(&["needs_old"], &none).uninstallable, BTreeSet::from(["old"]));
    }

    #[test]
    fn an_upgrade_takes_along_what_is_installed_and_stands_on_it() {
        let (mut modules, links) = (modules(), links());
        modules[2].state = "installed".to_owned();
        let graph = Graph::new(&modules, &links);
        assert_eq!(graph.upgraded(&["mail"]), BTreeSet::from(["crm", "mail"]), "sale_crm is not installed");
        assert_eq!(graph.upgraded(&["base"]), BTreeSet::from(["base", "crm", "mail"]));
    }

    #[test]
    fn distances_go_both_ways_and_a_circle_ends() {
        let (modules, mut links) = (modules(), links());
        let graph = Graph::new(&modules, &links);
        assert_eq!(graph.upstream(&["sale_crm"], true), Distances::from([("base", 2), ("crm", 1), ("mail", 2), ("sale", 1)]));
        assert_eq!(graph.upstream(&["sale_crm"], false), Distances::from([("crm", 1), ("sale", 1)]));
        assert_eq!(graph.downstream(&["sale"], true), Distances::from([("l10n_xx", 1), ("sale_crm", 1), ("sale_crm_x", 2)]));
        links.push(ModuleLink { module: 1, needs: "sale_crm_x".to_owned(), triggers: true });
        let graph = Graph::new(&modules, &links);
        assert_eq!(graph.upstream(&["base"], true).len(), 5);
    }
}
