//! What policy looks at in a tool, and the roles of people.
use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    Read,
    Write,
    Destructive,
}
impl Access {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Destructive => "destructive",
        }
    }
}
impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident, $what:literal: $($variant:ident = $text:literal),+ $(,)?) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        pub enum $name { $(#[serde(rename = $text)] $variant),+ }
        impl $name {
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
        impl FromStr for $name {
            type Err = String;
            fn from_str(text: &str) -> Result<Self, String> {
                match text {
                    $($text => Ok(Self::$variant),)+
                    other => Err(format!(concat!("\"{}\" is no ", $what, "; there are {}"), other, [$($text),+].join(", "))),
                }
            }
        }
    };
}
pub(crate) use words;

words! {
    /// The fourteen categories of the catalogue; a key is limited by them.
    Category, "category":
    Attachments = "attachments",
    Context = "context",
    Export = "export",
    Files = "files",
    Metadata = "metadata",
    Modules = "modules",
    Monitoring = "monitoring",
    Orm = "orm",
    Platform = "platform",
    Reports = "reports",
    Search = "search",
    Shell = "shell",
    Sql = "sql",
    System = "system",
}

words! {
    /// A user's role in an organization, lowest first: `Ord` compares power.
    Role, "role":
    Viewer = "viewer",
    Member = "member",
    Admin = "admin",
    Owner = "owner",
}

/// What a write changes. The guard and the instance's state hold only for the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changes {
    /// The Odoo instance: its data, files, processes.
    Instance,
    /// ocore's own store (notes, filters, bookmarks).
    Ocore,
    /// Something beside the instance (a backup file).
    Outside,
}

/// The part of a tool that policy looks at.
#[derive(Debug, Clone, Copy)]
pub struct Facts {
    pub name: &'static str,
    pub category: Category,
    /// The most that the tool can do.
    pub access: Access,
    /// The least: differs from `access` only where the arguments decide (execute_method with a read method).
    pub least: Access,
    pub changes: Changes,
}
impl Facts {
    /// Whether the guard (`mcp_write_enabled`) applies.
    pub const fn guarded(&self) -> bool {
        !matches!(self.access, Access::Read) && matches!(self.changes, Changes::Instance)
    }
    /// Whether it works on one instance; the others are named `ocore_…`.
    pub const fn on_instance(&self) -> bool {
        !matches!(self.category, Category::Platform)
    }
}
