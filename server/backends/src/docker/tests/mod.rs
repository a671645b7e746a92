//! Real containers, made from the test stack's images, labelled `ocore-docker-test`, on its private network.
#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "tests say why they skip, and read what containers made")]

mod bare;
mod endpoint;
mod exec;
mod modules;
mod shell;

use std::{
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

pub const LABEL: &str = "ocore-docker-test";

pub fn settings() -> Settings {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    Settings {
        connect: Duration::from_secs(5),
        answer: Duration::from_secs(20),
        allowed: Arc::new(|address| address.is_loopback()),
        random: Arc::new(|| {
            let now = std::time::Instant::now();
            let unique = (u128::from(std::process::id()) << 96)
                | (u128::from(NEXT.fetch_add(1, Ordering::Relaxed)) << 64)
                | u128::from(u32::try_from(format!("{now:?}").len()).unwrap());
            unique.to_be_bytes()
        }),
    }
}
pub fn socket() -> Endpoint {
    Endpoint::new(Kind::Unix("/var/run/docker.sock".into()), settings()).unwrap()
}
/// Runs the docker client; its output, trimmed. Panics when it fails.
pub fn docker(args: &[&str]) -> String {
    let out = Command::new("docker").args(args).stdin(Stdio::null()).output().unwrap();
    assert!(out.status.success(), "docker {args:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).trim().to_owned()
}
/// The stack's image of a version (19 or 14), by its running server.
pub fn image(version: u32) -> String {
    docker(&["inspect", "--format", "{{.Config.Image}}", &format!("ocore-test-odoo-{version}")])
}

/// A container that is removed at the end.
pub struct Own {
    pub name: String,
}
impl Own {
    /// `docker run -d` with a name of its own; `args` are flags, image and command.
    pub fn run(name: &str, args: &[&str]) -> Self {
        let name = format!("ocore-docker-test-{name}");
        let _ = Command::new("docker").args(["rm", "-f", "-v", &name]).output();
        let mut all = vec!["run", "-d", "--name", &name, "--label", LABEL, "--network", "ocore-test"];
        all.extend_from_slice(args);
        docker(&all);
        Self { name }
    }
    /// An Odoo image without Odoo running.
    pub fn idle(name: &str, version: u32) -> Self {
        Self::run(name, &["--entrypoint", "sleep", &image(version), "infinity"])
    }
    pub fn container(&self) -> Container {
        self.container_as(Options::default())
    }
    pub fn container_as(&self, options: Options) -> Container {
        Container::new(socket(), &self.name, options).unwrap()
    }
    /// Panics when more than so many processes stay. Docker's `top` can still show what is just being reaped.
    pub fn settles_at(&self, most: usize) {
        for _ in 0..40 {
            if self.others().len() <= most {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("left: {:?}", self.others());
    }
    /// What runs in it besides its first process: `pid args` lines, as `ps` on the host tells it.
    pub fn others(&self) -> Vec<String> {
        docker(&["top", &self.name, "-eo", "pid,stat,args"])
            .lines()
            .skip(1)
            .map(str::trim)
            .filter(|line| !line.contains("sleep infinity"))
            .map(ToOwned::to_owned)
            .collect()
    }
}
impl Drop for Own {
    fn drop(&mut self) {
        let _ = Command::new("docker").args(["rm", "-f", "-v", &self.name]).output();
    }
}

/// An image whose entry point behaves as the official one's (which no registry gives here), from the stack's.
pub fn official_image(version: u32) -> String {
    static ONE: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let tag = format!("ocore-docker-test-official:{version}");
    let base = image(version);
    let addons = if version == 19 {
        "/usr/lib/python3/dist-packages/addons,/usr/lib/python3/dist-packages/odoo/addons,"
    } else {
        "/usr/lib/python3/dist-packages/odoo/addons,"
    };
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/docker/official");
    let out = Command::new("docker")
        .env("DOCKER_BUILDKIT", "0")
        .args(["build", "-q", "--network", "host", "-t", &tag, "--label", LABEL, "--build-arg", &format!("BASE={base}")])
        .args(["--build-arg", &format!("ADDONS={addons}"), folder])
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    tag
}
/// A database of one's own, dropped at the end.
pub struct Database {
    pub version: u32,
    pub name: String,
}
impl Database {
    pub fn fresh(version: u32, name: &str) -> Self {
        let name = format!("ocore_docker_{name}_{version}");
        stack(&["fresh", &version.to_string(), &name]);
        Self { version, name }
    }
    pub fn sql(&self, sql: &str) -> String {
        stack(&["psql", &self.name, sql])
    }
}
impl Drop for Database {
    fn drop(&mut self) {
        let _ = Command::new(stack_script()).args(["drop", &self.version.to_string(), &self.name]).output();
    }
}
/// The test stack's script: named by `OCORE_TEST_STACK`.
fn stack_script() -> String {
    std::env::var("OCORE_TEST_STACK")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/odoo/stack").to_owned())
}
fn stack(args: &[&str]) -> String {
    let out = Command::new(stack_script()).args(args).stdin(Stdio::null()).output().unwrap();
    assert!(out.status.success(), "stack {args:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).trim().to_owned()
}
/// Odoo served by the official-like image, database settings in the environment.
pub fn official(name: &str, version: u32, database: &str, more: &[&str]) -> Own {
    let tag = official_image(version);
    let user = format!("USER=odoo_{version}");
    let mut args = vec!["-e", "HOST=ocore-test-pg", "-e", &user, "-e", "PASSWORD=ocore"];
    args.extend_from_slice(more);
    args.extend_from_slice(&[&tag, "odoo", "-d", database, "--max-cron-threads=0"]);
    let own = Own::run(&format!("{name}-{version}"), &args);
    own.wait_for_odoo();
    own
}
/// The same without an entry point: settings in the configuration file, two workers, as the stack's servers run.
pub fn plain(name: &str, version: u32, database: &str) -> Own {
    let tag = image(version);
    let conf = docker(&["exec", &format!("ocore-test-odoo-{version}"), "cat", "/etc/odoo/odoo.conf"]);
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/test-conf");
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join(format!("{name}-{version}.conf"));
    #[allow(clippy::disallowed_methods)]
    std::fs::write(&path, conf.replace(",/mnt/extra-addons", "")).unwrap();
    let mount = format!("{}:/etc/odoo/plain.conf:ro", path.display());
    let own = Own::run(
        &format!("{name}-{version}"),
        &["-v", &mount, &tag, "odoo", "-c", "/etc/odoo/plain.conf", "-d", database, "--workers", "2", "--max-cron-threads=0"],
    );
    own.wait_for_odoo();
    own
}
impl Own {
    pub fn wait_for_odoo(&self) {
        for _ in 0..150 {
            let up = Command::new("docker")
                .args(["exec", &self.name, "python3", "-c", "import socket; socket.create_connection(('127.0.0.1', 8069), 2)"])
                .output()
                .unwrap();
            if up.status.success() {
                return;
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        panic!("{} does not serve: {}", self.name, docker(&["logs", "--tail", "20", &self.name]));
    }
}
