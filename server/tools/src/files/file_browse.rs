use backends::files::{Addon, Entry, Listing};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::contract::{self as tool, *};

/// List the files of a directory in the instance's addons; without a path every addon.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileBrowse {
    /// As lists show it: folder/addon/models
    path: Option<String>,
}
#[derive(Debug, Serialize, JsonSchema)]
pub struct Files {
    pub path: String,
    /// Without a path.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub addons: Vec<String>,
    pub entries: Vec<Listed>,
    pub count: usize,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}
#[derive(Debug, Serialize, JsonSchema)]
pub struct Listed {
    pub path: String,
    /// file, directory, link (never followed), fifo, socket, device or other.
    pub kind: String,
    /// Bytes.
    pub size: u64,
    pub modified: String,
    /// Octal.
    pub mode: String,
}
impl Answer for Files {
    const LIST: Option<&'static str> = Some("entries");
    fn columns(&self) -> Vec<String> {
        ["path", "kind", "size", "modified", "mode"].map(str::to_owned).into()
    }
    fn affected(&self) -> Option<u64> {
        Some(self.count as u64)
    }
}
impl From<Entry> for Listed {
    fn from(entry: Entry) -> Self {
        Self {
            path: entry.path,
            kind: entry.kind.name().to_owned(),
            size: entry.size,
            modified: entry.modified,
            mode: entry.mode,
        }
    }
}
impl From<Listing> for Files {
    fn from(listing: Listing) -> Self {
        let mut notes = Vec::new();
        if listing.truncated {
            notes.push("Not all entries are shown: look into one of the directories.".to_owned());
        }
        if listing.entries.iter().any(|e| !e.addressable) {
            notes.push("Some names cannot be given in a path (bytes that are no text, control characters).".to_owned());
        }
        let shown = |addon: Addon| if addon.writable { addon.path } else { format!("{} (read-only)", addon.path) };
        Self {
            path: listing.path,
            addons: listing.addons.into_iter().map(shown).collect(),
            count: listing.entries.len(),
            entries: listing.entries.into_iter().map(Listed::from).collect(),
            notes,
        }
    }
}
impl ReadTool for FileBrowse {
    type Answer = Files;
    async fn call(self, cx: &ReadCx) -> Result<Files> {
        Ok(cx.files()?.list(self.path.as_deref().unwrap_or_default()).await?.into())
    }
}
pub const TOOL: Tool = tool::read::<FileBrowse>("Browse files");
