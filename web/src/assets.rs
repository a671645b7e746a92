//! The style sheet, the script and the pictures, embedded, each under a name that holds a hash of its content: it can be kept by
//! browsers for ever, and a new build is a new name.
use std::{fmt::Write as _, sync::LazyLock};

use sha2::{Digest as _, Sha256};

/// One embedded file.
#[derive(Debug)]
pub struct Asset {
    /// Its name in the folder `static`, such as `style.css`.
    pub name: &'static str,
    /// The value for `Content-Type`.
    pub content_type: &'static str,
    /// The content.
    pub bytes: &'static [u8],
    /// The path that pages name, such as `/static/style.0f3a9c1b5d7e2468.css`.
    pub path: String,
    /// The value for `ETag`, quotes included.
    pub etag: String,
}

/// The value for `Cache-Control` of every asset: the name changes with the content.
pub const CACHE_CONTROL: &str = "public, max-age=31536000, immutable";

/// The style sheet.
pub static STYLE: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new("style", "css", "style.css", "text/css; charset=utf-8", include_bytes!("../../static/style.css"))
});
/// The script: everything works without it.
pub static SCRIPT: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new("ocore", "js", "ocore.js", "text/javascript; charset=utf-8", include_bytes!("../../static/ocore.js"))
});
/// The chosen look, applied before anything is drawn.
pub static THEME: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new("theme", "js", "theme.js", "text/javascript; charset=utf-8", include_bytes!("../../static/theme.js"))
});
/// The icon of browser tabs.
pub static ICON: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("icon", "svg", "icon.svg", "image/svg+xml", include_bytes!("../../static/icon.svg")));

impl Asset {
    fn new(stem: &str, ending: &str, name: &'static str, content_type: &'static str, bytes: &'static [u8]) -> Self {
        let mut hash = String::with_capacity(16);
        for byte in Sha256::digest(bytes).iter().take(8) {
            let _ = write!(hash, "{byte:02x}");
        }
        Self { name, content_type, bytes, path: format!("/static/{stem}.{hash}.{ending}"), etag: format!("\"{hash}\"") }
    }
}

/// Every asset.
pub fn all() -> [&'static Asset; 4] {
    [&STYLE, &SCRIPT, &THEME, &ICON]
}

/// The asset at a request's path, or nothing: a name without its hash, or with an old one, is not served.
pub fn at(path: &str) -> Option<&'static Asset> {
    all().into_iter().find(|asset| asset.path == path)
}
