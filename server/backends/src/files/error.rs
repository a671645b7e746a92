//! What can go wrong with an instance's files, each with what to do about it.
use std::time::Duration;

use super::place::Kind;

/// Result of this module.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What is wrong with a path as it was given; nothing was looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathFault {
    #[error("it is empty")]
    Empty,
    #[error("it starts with /")]
    Absolute,
    #[error("it has . or .. as a component")]
    Dots,
    #[error("it has an empty component (// or a / at the end)")]
    EmptyComponent,
    #[error("it has a NUL character")]
    Nul,
    #[error("it has a control character")]
    Control,
    #[error("it has a backslash")]
    Backslash,
    #[error("it is longer than 4,096 bytes, or a component than 255")]
    TooLong,
    #[error("names that start with .ocore-tmp- are ocore's own")]
    Reserved,
}

/// A failure. `Display` says what was wrong and where, [`Error::advice`] what to do, [`Error::code`] how it is classed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[error("The path {path:?} is refused: {why}.")]
    Path { path: String, why: PathFault },
    #[error("The path {path:?} does not start with the name of a root.")]
    NoRoot { path: String, roots: Vec<String> },
    #[error("{path} does not exist.")]
    NotFound { path: String },
    #[error("{path} is a symbolic link, and those are never followed.")]
    Link { path: String },
    #[error("{path} is a {}, no file or directory.", kind.name())]
    Special { path: String, kind: Kind },
    #[error("{path} is no directory.")]
    NotDirectory { path: String },
    #[error("{path} is a directory.")]
    IsDirectory { path: String },
    #[error("{path} belongs to a git repository's own data.")]
    Git { path: String },
    #[error("The root {root} is read-only for ocore.")]
    ReadOnlyRoot { root: String },
    #[error("{path} lies on a file system that is mounted read-only.")]
    ReadOnly { path: String },
    #[error("ocore's user may not {doing} {path}.")]
    Denied { path: String, doing: &'static str },
    #[error("{path} exists already.")]
    Exists { path: String },
    #[error("The directory {path} is not empty.")]
    NotEmpty { path: String },
    #[error("{path} has changed: it is not the version {expected} but {found}.")]
    Conflict { path: String, expected: String, found: String },
    #[error("{path} is too large: {size} bytes, and the limit is {limit}.")]
    TooLarge { path: String, size: u64, limit: u64 },
    #[error("{path} has more than {limit} entries.")]
    TooMany { path: String, limit: u64 },
    #[error("{path} is on another file system than its root, and nothing is changed there.")]
    Mount { path: String },
    #[error("The file system of {path} is full, or a quota is used up; nothing was changed.")]
    NoSpace { path: String },
    #[error("Something else is being written beside {path}.")]
    Busy { path: String },
    #[error("Too many file operations are waiting.")]
    Crowded,
    #[error("It was not possible to {doing} {path} within {:.1} s.", within.as_secs_f64())]
    Timeout { path: String, doing: &'static str, within: Duration, outcome_unknown: bool },
    #[error("The change does not fit {path}: {why}")]
    Patch { path: String, why: String },
    #[error("{path} is no UTF-8 text.")]
    Binary { path: String },
    #[error("Line {line} is out of range: {path} has {lines} lines.")]
    Line { path: String, line: u64, lines: u64 },
    #[error("The {what} is not usable: {why}")]
    Pattern { what: &'static str, why: String },
    #[error("The directory of the root {root} is gone or not usable: {why}.")]
    RootGone { root: String, why: String },
    #[error("The root {name} is refused: {why}.")]
    RootRefused { name: String, why: String },
    #[error("{path} and {new_path} are not below the same root, or not on the same file system.")]
    CrossRoot { path: String, new_path: String },
    #[error("{path} cannot be moved into itself.")]
    IntoItself { path: String },
    #[error("{path} is a root or an addon as a whole.")]
    Top { path: String },
    #[error("{what} is not usable: {why}.")]
    Argument { what: &'static str, why: String },
    #[error("{path}: {why}.")]
    Io { path: String, why: String },
    /// Some way into a change that has many parts.
    #[error("Not all of {path} could be deleted: {files} files and {directories} directories are gone, then: {why}.")]
    Partial { path: String, files: u64, directories: u64, why: String },
    #[error("The container's files could not be reached.")]
    Container { source: Box<crate::docker::Error>, outcome_unknown: bool },
    #[error("The look at files in the container went wrong: {why}.")]
    Script { why: String, outcome_unknown: bool },
    #[error("The call was cancelled; nothing was changed.")]
    Cancelled,
}

impl Error {
    /// The class in the words that every façade uses.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Path { .. }
            | Self::Link { .. }
            | Self::Special { .. }
            | Self::Git { .. }
            | Self::Mount { .. }
            | Self::ReadOnlyRoot { .. }
            | Self::CrossRoot { .. }
            | Self::Top { .. } => "path_refused",
            Self::NoRoot { .. } | Self::NotFound { .. } => "not_found",
            Self::NotDirectory { .. }
            | Self::IsDirectory { .. }
            | Self::Line { .. }
            | Self::Pattern { .. }
            | Self::Argument { .. }
            | Self::IntoItself { .. }
            | Self::Patch { .. }
            | Self::Binary { .. } => "invalid_argument",
            Self::Exists { .. } | Self::NotEmpty { .. } | Self::Conflict { .. } => "conflict",
            Self::TooLarge { .. } | Self::TooMany { .. } => "too_large",
            Self::Busy { .. } | Self::Crowded => "busy",
            Self::RootGone { .. } | Self::RootRefused { .. } | Self::ReadOnly { .. } | Self::Denied { .. } => "not_configured",
            Self::Cancelled => "cancelled",
            error if error.outcome_unknown() => "outcome_unknown",
            Self::Timeout { .. } => "timeout",
            Self::Container { .. } => "unreachable",
            Self::NoSpace { .. } | Self::Io { .. } | Self::Partial { .. } | Self::Script { .. } => "internal",
        }
    }

    /// What the caller or operator does next.
    pub fn advice(&self) -> String {
        match self {
            Self::Path { why: PathFault::Backslash, .. } => "Separate components with /, and use no backslash.",
            Self::Path { .. } => "Give a path as lists show it: ROOT/addon/models/file.py, without /, . or .. at its ends.",
            Self::NoRoot { roots, .. } => return format!("Start the path with one of: {}.", roots.join(", ")),
            Self::NotFound { .. } => "Look at the directory's list for the right name; upper and lower case matter.",
            Self::Link { .. } => "Use the path that the link points to, when that lies below a root.",
            Self::Special { .. } => "Only regular files and directories are read and changed.",
            Self::NotDirectory { .. } => "Name a directory, or read the file itself.",
            Self::IsDirectory { .. } => "Name a file in it; a list shows them.",
            Self::Git { .. } => {
                "Use git outside of ocore for the repository itself; the files that it tracks can be changed here."
            }
            Self::ReadOnlyRoot { .. } => "Change files below a writable root; the operator decides which are.",
            Self::ReadOnly { .. } => "The operator mounts it writable if files are to be changed there.",
            Self::Denied { .. } => {
                "The operator gives ocore's user (in a container: Odoo's) the rights, or the file another owner."
            }
            Self::Exists { .. } => "Choose another name, or change the existing one with a write.",
            Self::NotEmpty { .. } => "Delete what is in it first, or ask for recursive deletion.",
            Self::Conflict { .. } => "Read the file again and make the change on its present content.",
            Self::TooLarge { .. } => "Read a range of lines, or work on smaller files.",
            Self::TooMany { .. } => "Work on its subdirectories one by one.",
            Self::Mount { .. } => "Make that directory a root of its own if its files are to be changed.",
            Self::NoSpace { .. } => "The operator frees space on that file system.",
            Self::Busy { .. } | Self::Crowded => "Try again in a moment.",
            Self::Timeout { outcome_unknown: true, .. }
            | Self::Container { outcome_unknown: true, .. }
            | Self::Script { outcome_unknown: true, .. } => {
                "Look at the file before repeating the change: it may have been made."
            }
            Self::Timeout { .. } => "Try again with a longer timeout or a smaller part; nothing was changed.",
            Self::Patch { .. } => "Read the file again and make the diff from its present content.",
            Self::Binary { .. } => "Read it with encoding base64; replace it as a whole.",
            Self::Line { .. } => "Lines count from 1; to append, insert at the last line's number plus one.",
            Self::Pattern { .. } => "Correct the pattern: Rust's regular expressions have no look-around and no back references.",
            Self::RootGone { .. } => {
                "The operator checks the root's directory; ocore opens it again when the instance is reloaded."
            }
            Self::RootRefused { .. } => "The operator names a directory that holds addons only.",
            Self::CrossRoot { .. } => "Create the file at its new place and delete the old one.",
            Self::IntoItself { .. } => "Choose a new path that is not inside the directory itself.",
            Self::Top { .. } => "A root stays; an addon goes only by recursive deletion.",
            Self::Argument { .. } => "Correct the argument.",
            Self::Io { .. } => "The operator looks at the file system and its messages.",
            Self::Partial { .. } => "Look at what is left, mend the cause, and delete again.",
            Self::Container { source, .. } => source.advice(),
            Self::Script { .. } => "Check that the container runs and has Python 3.6 or later.",
            Self::Cancelled => "Call again when it is wanted.",
        }
        .to_owned()
    }

    /// Whether something may have been changed: look before doing it again.
    pub fn outcome_unknown(&self) -> bool {
        match self {
            Self::Timeout { outcome_unknown, .. }
            | Self::Container { outcome_unknown, .. }
            | Self::Script { outcome_unknown, .. } => *outcome_unknown,
            _ => false,
        }
    }
}
