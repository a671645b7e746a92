//! An Odoo in a container of its own, for what restarts, stops or stresses it.
use std::{
    process::Command,
    time::{Duration, Instant},
};

use super::Odoo;

/// An Odoo that serves one database alone, in a container that goes at the end.
pub struct Own {
    pub odoo: Odoo,
    _folder: tempfile::TempDir,
}
/// Runs the Docker client; what it prints.
pub fn docker(args: &[&str]) -> String {
    let output = Command::new("docker").args(args).output().expect("docker");
    assert!(output.status.success(), "docker {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
impl Own {
    /// Made out of a fresh database of the shared Odoo of that version.
    pub fn new(version: u16, name: &str) -> Option<Self> {
        let shared = Odoo::fresh(version, name)?;
        let container = format!("ocore-it-{}", shared.database.replace('_', "-"));
        let folder = tempfile::tempdir().expect("a folder");
        let conf = docker(&["exec", &shared.container, "cat", "/etc/odoo/odoo.conf"]);
        let path = folder.path().join("odoo.conf");
        std::fs::write(&path, conf.replace(",/mnt/extra-addons", "")).expect("a configuration");
        // Odoo's user reads it, whatever this one's umask is.
        std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("rights");
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o644)).expect("rights");
        let image = docker(&["inspect", "--format", "{{.Config.Image}}", &shared.container]);
        let _ = Command::new("docker").args(["rm", "-f", "-v", &container]).output();
        docker(&[
            "run",
            "-d",
            "--name",
            &container,
            "--label",
            "ocore-it",
            "--network",
            "ocore-test",
            "-p",
            "127.0.0.1::8069",
            "-v",
            &format!("{}:/etc/odoo/own.conf:ro", path.display()),
            "-v",
            &format!("{}:/var/lib/odoo", shared.container),
            &image,
            "odoo",
            "-c",
            "/etc/odoo/own.conf",
            "-d",
            &shared.database,
            "--workers=0",
            "--max-cron-threads=0",
        ]);
        let own = Self { odoo: Odoo { container, ..shared }, _folder: folder };
        Some(own.serving())
    }
    /// Docker gives a container another port at each start.
    pub fn serving(mut self) -> Self {
        let port = docker(&["port", &self.odoo.container, "8069/tcp"]);
        self.odoo.url = format!("http://{}", port.lines().next().unwrap_or_default().trim());
        let began = Instant::now();
        while !Command::new("curl")
            .args(["-sf", "-m", "5", "-o", "/dev/null", &format!("{}/web/login", self.odoo.url)])
            .status()
            .is_ok_and(|s| s.success())
        {
            assert!(began.elapsed() < Duration::from_secs(90), "{}", docker(&["logs", "--tail", "20", &self.odoo.container]));
            std::thread::sleep(Duration::from_millis(300));
        }
        self
    }
}
impl Drop for Own {
    fn drop(&mut self) {
        let _ = Command::new("docker").args(["rm", "-f", "-v", &self.odoo.container]).output();
    }
}
