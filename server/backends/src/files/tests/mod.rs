//! Real directories, on this host and bound into real containers, labelled `ocore-files-test`.
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "tests say why they skip, and look at the file system themselves"
)]

mod git;
mod hard;
mod world;
use std::{
    collections::BTreeMap,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::docker::{
    container::{Container, Options},
    endpoint::{Endpoint, Kind, Settings},
};
use crate::files::{Files, Root};

pub const LABEL: &str = "ocore-files-test";
/// Odoo's user in the stack's images.
pub const ODOO: (u32, u32) = (100, 101);

pub fn run(program: &str, args: &[&str]) -> String {
    let out = Command::new(program).args(args).stdin(Stdio::null()).output().unwrap();
    assert!(out.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).trim().to_owned()
}
pub fn image() -> String {
    run("docker", &["inspect", "--format", "{{.Config.Image}}", "ocore-test-odoo-19"])
}
fn endpoint() -> Endpoint {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let settings = Settings {
        connect: Duration::from_secs(5),
        answer: Duration::from_secs(20),
        allowed: Arc::new(|address| address.is_loopback()),
        random: Arc::new(|| {
            let unique = (u128::from(std::process::id()) << 64) | u128::from(NEXT.fetch_add(1, Ordering::Relaxed));
            unique.to_be_bytes()
        }),
    };
    Endpoint::new(Kind::Unix("/var/run/docker.sock".into()), settings).unwrap()
}

/// A container without Odoo running, removed at the end.
pub struct Own {
    pub name: String,
}
impl Own {
    pub fn idle(args: &[&str]) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let name = format!("ocore-files-test-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let image = image();
        let mut all = vec!["run", "-d", "--name", &name, "--label", LABEL, "--network", "none"];
        all.extend_from_slice(args);
        all.extend_from_slice(&["--entrypoint", "sleep", &image, "infinity"]);
        run("docker", &all);
        Self { name }
    }
    pub fn container(&self) -> Container {
        Container::new(endpoint(), &self.name, Options { user: Some("odoo".to_owned()), python: None }).unwrap()
    }
}
impl Drop for Own {
    fn drop(&mut self) {
        let _ = Command::new("docker").args(["rm", "-f", "-v", &self.name]).output();
    }
}

/// Roots `addons` (writable) and `fixed` (not), as ocore reaches them and as this test sees them.
pub struct World {
    pub place: &'static str,
    pub files: Files,
    pub addons: PathBuf,
    pub fixed: PathBuf,
    pub outside: PathBuf,
    pub container: Option<Own>,
    _folder: tempfile::TempDir,
}
impl World {
    fn folders(parent: &Path) -> (tempfile::TempDir, PathBuf, PathBuf, PathBuf) {
        let folder = tempfile::Builder::new().prefix("ocore-files-test-").tempdir_in(parent).unwrap();
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let part = |name: &str| {
            let path = folder.path().join(name);
            std::fs::create_dir(&path).unwrap();
            std::os::unix::fs::chown(&path, Some(ODOO.0), Some(ODOO.1)).unwrap();
            path
        };
        let (addons, fixed, outside) = (part("addons"), part("fixed"), part("outside"));
        (folder, addons, fixed, outside)
    }
    fn roots(addons: &Path, fixed: &Path) -> Vec<Root> {
        vec![
            Root { name: "addons".into(), path: addons.into(), writable: true },
            Root { name: "fixed".into(), path: fixed.into(), writable: false },
        ]
    }
    pub fn local() -> Self {
        Self::local_in(&std::env::temp_dir())
    }
    pub fn local_in(parent: &Path) -> Self {
        let (folder, addons, fixed, outside) = Self::folders(parent);
        let files = Files::local(Self::roots(&addons, &fixed), &[]).unwrap();
        Self { place: "local", files, addons, fixed, outside, container: None, _folder: folder }
    }
    pub fn container() -> Self {
        Self::container_with(&[])
    }
    pub fn container_with(args: &[&str]) -> Self {
        let (folder, addons, fixed, outside) = Self::folders(&std::env::temp_dir());
        let mount = format!("{}:/mnt/world", folder.path().display());
        let mut all = vec!["-v", &mount];
        all.extend_from_slice(args);
        let own = Own::idle(&all);
        let roots = Self::roots(Path::new("/mnt/world/addons"), Path::new("/mnt/world/fixed"));
        let files = Files::container(own.container(), roots, &[]).unwrap();
        Self { place: "container", files, addons, fixed, outside, container: Some(own), _folder: folder }
    }

    /// A file below the writable root, Odoo's.
    pub fn put(&self, path: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.addons.join(path);
        self.dirs(path.parent().unwrap());
        std::fs::write(&path, content).unwrap();
        std::os::unix::fs::chown(&path, Some(ODOO.0), Some(ODOO.1)).unwrap();
        path
    }
    pub fn dir(&self, path: &str) -> PathBuf {
        let path = self.addons.join(path);
        self.dirs(&path);
        path
    }
    fn dirs(&self, path: &Path) {
        std::fs::create_dir_all(path).unwrap();
        let mut path = path;
        while path != self.addons && path.starts_with(&self.addons) {
            std::os::unix::fs::chown(path, Some(ODOO.0), Some(ODOO.1)).unwrap();
            path = path.parent().unwrap();
        }
    }
    pub fn content(&self, path: &str) -> String {
        String::from_utf8(std::fs::read(self.addons.join(path)).unwrap()).unwrap()
    }
    /// Everything there is, outside too: path, kind and mode, content.
    pub fn snapshot(&self) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
        fn walk(path: &Path, found: &mut BTreeMap<PathBuf, (u32, Vec<u8>)>) {
            let meta = std::fs::symlink_metadata(path).unwrap();
            let content = if meta.is_file() {
                std::fs::read(path).unwrap()
            } else if meta.is_symlink() {
                std::fs::read_link(path).unwrap().into_os_string().into_encoded_bytes()
            } else {
                Vec::new()
            };
            found.insert(path.into(), (meta.mode(), content));
            if meta.is_dir() {
                for entry in std::fs::read_dir(path).unwrap() {
                    walk(&entry.unwrap().path(), found);
                }
            }
        }
        let mut found = BTreeMap::new();
        walk(self.addons.parent().unwrap(), &mut found);
        found
    }
}

/// Replaces the whole text by what follows `=`, or fails.
pub fn apply(_text: &str, diff: &str) -> Result<(String, String), String> {
    diff.strip_prefix('=').map(|new| (new.to_owned(), "as it fits".to_owned())).ok_or_else(|| "hunk 1 does not fit".to_owned())
}
