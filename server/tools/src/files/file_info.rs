use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::contract::{self as tool, *};

/// Facts of a file or directory of the instance's addons: size, mode, times, SHA-256, lines and its state in git.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileInfo {
    path: String,
}
#[derive(Debug, Serialize, JsonSchema)]
pub struct Facts {
    pub path: String,
    /// file, directory, symbolic link, …
    pub kind: String,
    /// Bytes.
    pub size: u64,
    /// Octal.
    pub mode: String,
    pub modified: String,
    pub uid: u32,
    pub gid: u32,
    pub hard_links: u64,
    pub writable: bool,
    /// Of files up to 10 MB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub binary: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lines: Option<u64>,
    /// clean, modified, staged, untracked, ignored, none (no repository) or unknown.
    pub git: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}
impl Answer for Facts {}
impl ReadTool for FileInfo {
    type Answer = Facts;
    async fn call(self, cx: &ReadCx) -> Result<Facts> {
        let info = cx.files()?.info(&self.path).await?;
        let git = serde_json::to_value(info.git.state).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default();
        Ok(Facts {
            path: info.path,
            kind: info.kind.name().to_owned(),
            size: info.size,
            mode: info.mode,
            modified: info.modified,
            uid: info.uid,
            gid: info.gid,
            hard_links: info.hard_links,
            writable: info.writable,
            sha256: info.sha256,
            binary: info.binary,
            lines: info.lines,
            git,
            notes: info.git.reason.map(|why| format!("git: {why}")).into_iter().collect(),
        })
    }
}
pub const TOOL: Tool = tool::read::<FileInfo>("Facts of a file");
