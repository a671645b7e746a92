//! The files of an instance: its addons, where they lie, and nothing besides.
//!
//! `roots.rs` names the directories and turns a caller's path into components that can hide nothing; `place.rs` is the small
//! set of orders that both places understand: `local.rs` (this host, every step by directory handle) and `remote.rs` (in a
//! container, the same steps by the script in `scripts/`). Above them, the same for both: `view.rs` lists and reads,
//! `edit.rs` plans, changes and takes back, `text.rs` works on lines, `search.rs` matches, `git.rs` compares with a
//! repository's index, `error.rs` says what went wrong and what to do.
//!
//! A path is walked component by component and no symbolic link is ever followed, so there is nothing to win by swapping a
//! directory for a link while we work: each step either has the directory that it opened, or fails. Changes are made beside
//! the target and renamed over it. Who may do what is decided before.
mod edit;
mod error;
mod git;
mod handle;
mod local;
mod place;
mod remote;
mod roots;
mod search;
#[cfg(test)]
mod tests;
mod text;
mod view;

use std::{path::PathBuf, sync::Arc, time::Duration};

pub use edit::{Apply, Change, ChangeKind, Content, Mode, Undo};
pub use error::{Error, PathFault, Result};
pub use git::{GitState, GitStatus};
pub use handle::{Folders, Pool, Reader, Writer};
pub use place::{Kind, Meta};
pub use roots::Root;
pub use search::{Found, Match, Query};
pub use view::{Addon, Encoding, Entry, Info, Listing, ReadOptions, Reading};

/// Bytes of a file that is still read whole, hashed and patched.
pub const WHOLE: u64 = 10 << 20;
/// Bytes of a file's previous content that are kept for taking a change back.
pub const UNDO: u64 = 5 << 20;

/// One instance's files. Cheap to clone; local roots stay open as long as one clone lives.
#[derive(Debug, Clone)]
pub struct Files {
    roots: Arc<roots::Roots>,
    place: place::Place,
    deadline: Duration,
}

impl Files {
    /// Files of this host. Blocks while it opens the roots: to be called where that is allowed.
    ///
    /// # Errors
    /// [`Error::RootRefused`] for a root that is no directory, is one of the system's, or overlaps with another root or with
    /// one of `forbidden`; [`Error::Argument`] for names.
    pub fn local(roots: Vec<Root>, forbidden: &[PathBuf]) -> Result<Self> {
        let roots = roots::Roots::new(roots)?;
        let place = place::Place::Local(Arc::new(local::Local::open(&roots, forbidden)?));
        Ok(Self { roots: Arc::new(roots), place, deadline: Duration::from_secs(15) })
    }
    /// Files in a container, by its unprivileged user. Asks nothing yet: the roots are checked by the first order.
    ///
    /// # Errors
    /// As [`Files::local`]; what only the container knows comes with the first order.
    pub(crate) fn container(
        container: crate::docker::container::Container,
        roots: Vec<Root>,
        forbidden: &[PathBuf],
    ) -> Result<Self> {
        let roots = roots::Roots::new(roots)?;
        let place = place::Place::Container(Arc::new(remote::Remote::new(container, &roots, forbidden)?));
        Ok(Self { roots: Arc::new(roots), place, deadline: Duration::from_secs(15) })
    }
    /// The same files with another deadline for each operation (15 s unless told).
    #[must_use]
    pub fn within(&self, deadline: Duration) -> Self {
        Self { deadline, ..self.clone() }
    }
    /// The roots by name, and whether each is writable.
    pub fn roots(&self) -> impl Iterator<Item = (&str, bool)> {
        self.roots.all.iter().map(|root| (root.name.as_str(), root.writable))
    }
}
