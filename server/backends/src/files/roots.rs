//! Named directories, and paths below them as components.
use std::path::{Component, Path, PathBuf};

use super::error::{Error, PathFault, Result};

/// Bytes of a path, and of one component.
const PATH: usize = 4096;
const COMPONENT: usize = 255;
/// What our own unfinished writes are named; hidden from lists, and no caller's to touch.
pub(super) const TEMPORARY: &str = ".ocore-tmp-";

/// A directory with addons.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    /// First component of its paths: letters, digits, `_`, `-`, `.`, at most 64.
    pub name: String,
    /// Absolute; on this host, or in the container.
    pub path: PathBuf,
    pub writable: bool,
}

#[derive(Debug)]
pub(super) struct Roots {
    pub(super) all: Vec<Root>,
}

/// A place below a root. No component is empty, `.`, `..`, or has a separator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Located {
    /// Index of the root.
    pub(super) root: usize,
    pub(super) path: Vec<String>,
    /// As it is shown: the root's name and the components.
    pub(super) shown: String,
}

impl Roots {
    pub(super) fn new(all: Vec<Root>) -> Result<Self> {
        if all.is_empty() {
            return Err(Error::Argument { what: "the list of roots", why: "it is empty".to_owned() });
        }
        for (index, root) in all.iter().enumerate() {
            let name = &root.name;
            let fine = (1..=64).contains(&name.len())
                && name.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
                && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
                && !is_git(name);
            let refused = |why: &str| Error::RootRefused { name: name.clone(), why: why.to_owned() };
            if !fine {
                return Err(refused("its name has to be of letters, digits, _, - and ., at most 64"));
            }
            if all.iter().take(index).any(|other| other.name == *name) {
                return Err(refused("another root has the same name"));
            }
            let path = &root.path;
            let plain = path.components().all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
            if !path.is_absolute() || !plain || path.to_str().is_none_or(|text| text.contains('\0')) {
                return Err(refused("its path has to be absolute, UTF-8, and without . and .."));
            }
        }
        Ok(Self { all })
    }

    /// What a caller's path means; none for the top above all roots.
    ///
    /// # Errors
    /// [`Error::Path`], [`Error::NoRoot`].
    pub(super) fn locate(&self, path: &str) -> Result<Option<Located>> {
        if path.is_empty() {
            return Ok(None);
        }
        let mut parts = components(path)?;
        let named = parts.first().and_then(|first| self.all.iter().position(|root| root.name == *first));
        let root = match (named, self.all.len()) {
            (Some(index), _) => {
                parts.remove(0);
                index
            }
            (None, 1) => 0,
            (None, _) => {
                return Err(Error::NoRoot {
                    path: path.to_owned(),
                    roots: self.all.iter().map(|root| root.name.clone()).collect(),
                });
            }
        };
        Ok(Some(Located { root, shown: self.shown(root, &parts), path: parts }))
    }
    /// The same where the top means nothing.
    pub(super) fn below(&self, path: &str) -> Result<Located> {
        self.locate(path)?.ok_or_else(|| Error::Path { path: String::new(), why: PathFault::Empty })
    }
    /// A path as callers can give it back.
    pub(super) fn shown(&self, root: usize, path: &[String]) -> String {
        let mut shown = self.all.get(root).map(|root| root.name.clone()).unwrap_or_default();
        for part in path {
            shown.push('/');
            shown.push_str(part);
        }
        shown
    }
    pub(super) fn get(&self, index: usize) -> Result<&Root> {
        self.all.get(index).ok_or_else(|| Error::Argument { what: "the root", why: format!("there is no root {index}") })
    }
}

/// A path's components.
pub(super) fn components(path: &str) -> Result<Vec<String>> {
    let refuse = |why| Err(Error::Path { path: shorten(path), why });
    if path.len() > PATH {
        return refuse(PathFault::TooLong);
    }
    if path.contains('\0') {
        return refuse(PathFault::Nul);
    }
    if path.starts_with('/') {
        return refuse(PathFault::Absolute);
    }
    let mut parts = Vec::new();
    for part in path.split('/') {
        if let Some(why) = fault(part) {
            return refuse(why);
        }
        parts.push(part.to_owned());
    }
    Ok(parts)
}

/// What is wrong with one component; none: it can be addressed.
pub(super) fn fault(part: &str) -> Option<PathFault> {
    if part.is_empty() {
        Some(PathFault::EmptyComponent)
    } else if part == "." || part == ".." {
        Some(PathFault::Dots)
    } else if part.len() > COMPONENT {
        Some(PathFault::TooLong)
    } else if part.contains('\\') {
        Some(PathFault::Backslash)
    } else if part.chars().any(char::is_control) {
        Some(PathFault::Control)
    } else if part.starts_with(TEMPORARY) {
        Some(PathFault::Reserved)
    } else {
        None
    }
}

/// Whether a name is `.git` for some file system: in any case, with dots or spaces behind it, a stream's name, invisible
/// characters, or as DOS shortens it.
pub(super) fn is_git(name: &str) -> bool {
    let visible: String = name
        .chars()
        .filter(|c| !matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'))
        .flat_map(char::to_lowercase)
        .collect();
    let base = visible.split(':').next().unwrap_or_default().trim().trim_end_matches(['.', ' ']);
    base == ".git" || base.strip_prefix("git~").is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()))
}

/// Why a directory, resolved, may not be a root; none: it may.
pub(super) fn barred(path: &Path, forbidden: &[PathBuf]) -> Option<String> {
    const EXACT: [&str; 12] =
        ["/", "/root", "/home", "/usr", "/var", "/opt", "/boot", "/run", "/bin", "/sbin", "/lib", "/var/lib"];
    const WITHIN: [&str; 5] = ["/etc", "/proc", "/sys", "/dev", "/boot"];
    if EXACT.iter().any(|one| path == Path::new(one)) || WITHIN.iter().any(|one| path.starts_with(one)) {
        return Some(format!("{} belongs to the system", path.display()));
    }
    forbidden
        .iter()
        .find(|one| path.starts_with(one) || one.starts_with(path))
        .map(|one| format!("{} and {}, which is not to be reached, contain one another", path.display(), one.display()))
}

/// For messages.
fn shorten(path: &str) -> String {
    if path.chars().count() <= 200 { path.to_owned() } else { path.chars().take(200).chain(['…']).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roots(names: &[&str]) -> Roots {
        let all = names.iter().map(|name| Root { name: (*name).into(), path: format!("/srv/{name}").into(), writable: true });
        Roots::new(all.collect()).unwrap()
    }

    #[test]
    fn paths_mean_what_they_say() {
        let one = roots(&["addons"]);
        assert_eq!(one.locate("").unwrap(), None);
        assert_eq!(one.below("addons").unwrap().path, Vec::<String>::new());
        assert_eq!(one.below("addons/sale/models").unwrap(), one.below("sale/models").unwrap());
        assert_eq!(one.below("sale").unwrap().shown, "addons/sale");
        let two = roots(&["a", "b"]);
        assert_eq!(two.below("b/x").unwrap().root, 1);
        assert!(matches!(two.below("x/y"), Err(Error::NoRoot { roots, .. }) if roots == ["a", "b"]));
    }

    #[test]
    fn paths_that_hide_something_are_refused() {
        let one = roots(&["addons"]);
        let why = |path: &str| match one.locate(path) {
            Err(Error::Path { why, .. }) => why,
            other => panic!("{path:?}: {other:?}"),
        };
        for path in ["..", "a/..", "../a", "a/../b", ".", "./a", "a/./b", "addons/.."] {
            assert_eq!(why(path), PathFault::Dots, "{path}");
        }
        for path in ["/", "/etc/passwd", "//a"] {
            assert_eq!(why(path), PathFault::Absolute, "{path}");
        }
        for path in ["a//b", "a/", "addons/"] {
            assert_eq!(why(path), PathFault::EmptyComponent, "{path}");
        }
        for path in ["a\\b", "..\\x", "a/\\..\\b", "C:\\x"] {
            assert_eq!(why(path), PathFault::Backslash, "{path}");
        }
        assert_eq!(why("a\0b"), PathFault::Nul);
        assert_eq!(why("a\nb"), PathFault::Control);
        assert_eq!(why(&"x".repeat(256)), PathFault::TooLong);
        assert_eq!(why(&"x/".repeat(2049)), PathFault::TooLong);
        assert_eq!(why("a/.ocore-tmp-1"), PathFault::Reserved);
        assert!(one.locate(&"x".repeat(255)).is_ok());
        assert!(one.locate("...").is_ok());
    }

    #[test]
    fn git_in_disguise_is_git() {
        for name in
            [".git", ".GIT", ".Git", ".git.", ".git..", ".git ", ".git . .", "git~1", "GIT~12", ".git::$DATA", ".g\u{200c}it"]
        {
            assert!(is_git(name), "{name:?}");
        }
        for name in [".gitignore", ".github", "git", "git~", "git~x", "xgit", ".gitattributes", "a.git"] {
            assert!(!is_git(name), "{name:?}");
        }
    }

    #[test]
    fn roots_of_the_system_are_refused() {
        let forbidden = [PathBuf::from("/srv/ocore/data")];
        for path in [
            "/",
            "/etc",
            "/etc/odoo",
            "/proc",
            "/sys/x",
            "/dev",
            "/root",
            "/home",
            "/srv",
            "/srv/ocore/data/x",
            "/srv/ocore/data",
        ] {
            assert!(barred(Path::new(path), &forbidden).is_some(), "{path}");
        }
        for path in ["/srv/ocore/data2", "/mnt/extra-addons", "/home/odoo/addons", "/srv/other"] {
            assert_eq!(barred(Path::new(path), &forbidden), None, "{path}");
        }
        for (name, path) in [("", "/a"), ("a/b", "/a"), (".git", "/a"), ("..", "/a"), ("a", "b"), ("a", "/b/../c"), (".a", "/a")]
        {
            let root = Root { name: name.into(), path: path.into(), writable: true };
            assert!(matches!(Roots::new(vec![root]), Err(Error::RootRefused { .. })), "{name} {path}");
        }
    }
}
