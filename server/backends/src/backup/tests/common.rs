//! Real Odoos of the test stack's images in containers of their own, on databases of their own, labelled `ocore-backup-test`.
use std::{
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::backup::{Backups, Format, Instance, LIMIT, Postgres, Progress, Request, Watch};
use crate::docker::{
    container::{Container, Options},
    endpoint::{Endpoint, Kind, Settings},
};
use chrono::{DateTime, Utc};
use secrecy::SecretSlice;
use tokio_util::sync::CancellationToken;

pub const LABEL: &str = "ocore-backup-test";

pub fn endpoint() -> Endpoint {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let settings = Settings {
        connect: Duration::from_secs(5),
        answer: Duration::from_secs(30),
        allowed: Arc::new(|address| address.is_loopback()),
        random: Arc::new(|| {
            let unique = (u128::from(std::process::id()) << 96) | (u128::from(NEXT.fetch_add(1, Ordering::Relaxed)) << 64);
            unique.to_be_bytes()
        }),
    };
    Endpoint::new(Kind::Unix("/var/run/docker.sock".into()), settings).unwrap()
}
pub fn container(name: &str) -> Container {
    Container::new(endpoint(), name, Options::default()).unwrap()
}
pub fn try_docker(args: &[&str]) -> Output {
    Command::new("docker").args(args).stdin(Stdio::null()).output().unwrap()
}
/// Runs the docker client; its output, trimmed. Panics when it fails.
pub fn docker(args: &[&str]) -> String {
    let out = try_docker(args);
    assert!(out.status.success(), "docker {args:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).trim().to_owned()
}
/// A script's output; its error when it fails.
pub fn sh(script: &str) -> String {
    let out = Command::new("bash").args(["-c", script]).stdin(Stdio::null()).output().unwrap();
    assert!(out.status.success(), "{script}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).trim().to_owned()
}
fn stack_script() -> String {
    std::env::var("OCORE_TEST_STACK")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/odoo/stack").to_owned())
}
pub fn stack(args: &[&str]) -> String {
    let out = Command::new(stack_script()).args(args).stdin(Stdio::null()).output().unwrap();
    assert!(out.status.success(), "stack {args:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).trim().to_owned()
}
pub fn image(of: &str) -> String {
    docker(&["inspect", "--format", "{{.Config.Image}}", &format!("ocore-test-{of}")])
}
pub fn now() -> DateTime<Utc> {
    let out = sh("date -u +%Y-%m-%dT%H:%M:%SZ");
    out.parse().unwrap()
}

/// A container that is removed at the end.
pub struct Own(pub String);
impl Own {
    pub fn run(name: &str, args: &[&str]) -> Self {
        let name = format!("ocore-backup-test-{name}");
        let _ = try_docker(&["rm", "-f", "-v", &name]);
        let mut all = vec!["run", "-d", "--name", &name, "--label", LABEL, "--network", "ocore-test"];
        all.extend_from_slice(args);
        docker(&all);
        Self(name)
    }
}
impl Drop for Own {
    fn drop(&mut self) {
        let _ = try_docker(&["rm", "-f", "-v", &self.0]);
    }
}

/// A PostgreSQL server: the stack's, or one of our own.
pub struct Server {
    pub name: String,
    own: Option<Own>,
}
impl Server {
    /// One that may be stopped: its data is on its volume.
    pub fn own(name: &str) -> Self {
        let start = "test -s /var/lib/postgresql/data/PG_VERSION || { rm -rf /var/lib/postgresql/data/*; \
            initdb -D /var/lib/postgresql/data --no-sync --encoding=UTF8 --locale=C.UTF-8 --username=postgres --auth=trust; \
            echo 'host all all all trust' >> /var/lib/postgresql/data/pg_hba.conf; }; \
            exec postgres -D /var/lib/postgresql/data -c listen_addresses='*' -c fsync=off -c jit=off";
        let own = Own::run(&format!("pg-{name}"), &["--entrypoint", "sh", &image("pg"), "-c", start]);
        let server = Self { name: own.0.clone(), own: Some(own) };
        server.ready();
        for version in ["14", "19"] {
            server.sql("postgres", &format!("CREATE ROLE odoo_{version} LOGIN CREATEDB PASSWORD 'ocore'"));
        }
        server
    }
    pub fn ready(&self) {
        for _ in 0..150 {
            if try_docker(&["exec", &self.name, "psql", "-U", "postgres", "-h", "localhost", "-c", "SELECT 1"]).status.success()
                || try_docker(&["exec", &self.name, "psql", "-U", "postgres", "-c", "SELECT 1"]).status.success()
            {
                return;
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        panic!("{} does not get ready: {}", self.name, docker(&["logs", "--tail", "20", &self.name]));
    }
    pub fn sql(&self, database: &str, sql: &str) -> String {
        docker(&["exec", &self.name, "psql", "-U", "postgres", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", database, "-c", sql])
    }
    /// Panics when a server process died by a signal: PostgreSQL takes any orphan for one, and ends all sessions.
    pub fn unharmed(&self) {
        let out = try_docker(&["logs", &self.name]);
        let log = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(!log.contains("was terminated by signal"), "{log}");
    }
    pub fn databases(&self) -> String {
        self.sql("postgres", "SELECT string_agg(datname || datallowconn || datistemplate, ' ' ORDER BY datname) FROM pg_database")
    }
}

/// An Odoo on a database of its own.
pub struct World {
    pub version: u32,
    pub database: String,
    pub odoo: Own,
    pub server: Server,
    pub folder: PathBuf,
    pub instance: Instance,
    pub backups: Backups,
}
pub const KEY: [u8; 32] = [7; 32];
pub fn shelf(folder: &Path) -> Backups {
    Backups::new(folder, SecretSlice::from(KEY.to_vec()), "0.1.0-test").unwrap()
}

impl World {
    pub fn new(name: &str, version: u32) -> Self {
        Self::on(Server::own(&format!("{name}-{version}")), name, version)
    }
    pub fn on(server: Server, name: &str, version: u32) -> Self {
        let database = format!("ocore_backup_{name}_{version}");
        stack(&["fresh", &version.to_string(), &database]);
        if server.own.is_some() {
            // The same in the other server; the filestore is there.
            sh(&format!(
                "docker exec {0} createdb -U postgres -T template0 -O odoo_{version} {database}; \
                 docker exec ocore-test-pg pg_dump -U postgres -Fc {database} \
                 | docker exec -i {0} pg_restore -U postgres --no-owner --role=odoo_{version} -d {database}; \
                 docker exec ocore-test-pg psql -U postgres -c 'DROP DATABASE {database} WITH (FORCE)'",
                server.name
            ));
        }
        let conf = docker(&["exec", &format!("ocore-test-odoo-{version}"), "cat", "/etc/odoo/odoo.conf"]);
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/test").join(format!("{name}-{version}"));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("odoo.conf");
        std::fs::write(&path, conf.replace(",/mnt/extra-addons", "").replace("ocore-test-pg", &server.name)).unwrap();
        let odoo = Own::run(
            &format!("{name}-{version}"),
            &[
                "-v",
                &format!("{}:/etc/odoo/plain.conf:ro", path.display()),
                "-v",
                &format!("ocore-test-odoo-{version}:/var/lib/odoo"),
                "-e",
                "PYTHONPYCACHEPREFIX=/var/lib/odoo/pycache",
                &image(&format!("odoo-{version}")),
                "odoo",
                "-c",
                "/etc/odoo/plain.conf",
                "-d",
                &database,
                "--workers=0",
                "--max-cron-threads=1",
            ],
        );
        let instance = Instance {
            id: format!("inst-{name}-{version}"),
            odoo: container(&odoo.0),
            postgres: Postgres {
                container: Some(container(&server.name)),
                host: "127.0.0.1".to_owned(),
                port: 5432,
                user: format!("odoo_{version}"),
                password: "ocore".into(),
            },
            database: database.clone(),
            filestore: None,
        };
        let backups = shelf(&folder.join("backups"));
        let world = Self { version, database, odoo, server, folder, instance, backups };
        world.ready();
        world
    }
    pub fn ready(&self) {
        for _ in 0..200 {
            if try_docker(&[
                "exec",
                &self.odoo.0,
                "python3",
                "-c",
                "import urllib.request as u; u.urlopen('http://127.0.0.1:8069/web/login', timeout=20)",
            ])
            .status
            .success()
            {
                return;
            }
            std::thread::sleep(Duration::from_millis(300));
        }
        panic!("{} does not serve: {}", self.odoo.0, docker(&["logs", "--tail", "20", &self.odoo.0]));
    }
    pub fn sql(&self, sql: &str) -> String {
        self.server.sql(&self.database, sql)
    }
    /// Python with `call(model, method, args…)` as the admin by XML-RPC, on a database of this Odoo.
    pub fn rpc_on(&self, database: &str, code: &str) -> String {
        let text = format!(
            "import xmlrpc.client as x, base64\nu='http://127.0.0.1:8069/xmlrpc/2/'\nuid=x.ServerProxy(u+'common').login('{database}','admin','admin')\n\
             assert uid, 'no login'\n\
             def call(m,f,*a,**k): return x.ServerProxy(u+'object',allow_none=True).execute_kw('{database}',uid,'admin',m,f,list(a),k)\n{code}"
        );
        docker(&["exec", &self.odoo.0, "python3", "-c", &text])
    }
    pub fn rpc(&self, code: &str) -> String {
        self.rpc_on(&self.database, code)
    }
    /// Everything that a restore has to bring back, in words: a partner's name and the attachments with their contents.
    pub fn picture(&self) -> String {
        self.rpc(
            "print(call('res.partner','search_read',[('ref','like','ocore-%')],fields=['name','ref'],order='ref'))\n\
             import hashlib\n\
             for a in call('ir.attachment','search_read',[('name','like','ocore-%')],fields=['name','datas'],order='name'):\n \
             print(a['name'],hashlib.sha1(base64.b64decode(a['datas'] or '')).hexdigest())",
        )
    }
    /// Makes data: a partner and two attachments.
    pub fn fill(&self) {
        self.rpc(
            "call('res.partner','create',{'name':'before','ref':'ocore-1'})\n\
             for n in (1,2): call('ir.attachment','create',{'name':'ocore-%d'%n,'datas':base64.b64encode(b'content %d '%n*70000).decode()})",
        );
    }
    /// Changes it: renames, adds, deletes an attachment, and has its file collected.
    pub fn spoil(&self) {
        self.rpc(
            "p=call('res.partner','search',[('ref','=','ocore-1')])\ncall('res.partner','write',p,{'name':'after'})\n\
             call('res.partner','create',{'name':'new','ref':'ocore-2'})\n\
             a=call('ir.attachment','search',[('name','=','ocore-2')])\ncall('ir.attachment','unlink',a)\n\
             call('ir.attachment','create',{'name':'ocore-3','datas':base64.b64encode(b'later').decode()})",
        );
        docker(&[
            "exec",
            &self.odoo.0,
            "sh",
            "-c",
            &format!(
                "find /var/lib/odoo/filestore/{} -type f -size +500k -name '*' -newer /etc/odoo/plain.conf -delete",
                self.database
            ),
        ]);
    }
    pub fn request(&self, id: &str) -> Request {
        Request {
            id: id.to_owned(),
            now: now(),
            label: Some(format!("a test on {}", self.version)),
            format: Format::Custom,
            filestore: true,
            limit: LIMIT,
        }
    }
    pub fn files(&self, what: &str) -> String {
        docker(&[
            "exec",
            &self.odoo.0,
            "sh",
            "-c",
            &format!("cd /var/lib/odoo/filestore && ls -d {}* | grep -c '{what}' || true", self.database),
        ])
    }
}
impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!(
                "--- {} ---\n{}",
                self.odoo.0,
                String::from_utf8_lossy(&try_docker(&["logs", "--tail", "30", &self.odoo.0]).stderr)
            );
        }
        let _ = try_docker(&["rm", "-f", &self.odoo.0]);
        for name in docker(&[
            "exec",
            "ocore-test-pg",
            "psql",
            "-U",
            "postgres",
            "-XAtc",
            &format!("SELECT datname FROM pg_database WHERE datname LIKE '{}%'", self.database),
        ])
        .lines()
        {
            let _ = try_docker(&[
                "exec",
                "ocore-test-pg",
                "psql",
                "-U",
                "postgres",
                "-Xc",
                &format!("ALTER DATABASE \"{name}\" IS_TEMPLATE false"),
            ]);
            let _ = try_docker(&[
                "exec",
                "ocore-test-pg",
                "psql",
                "-U",
                "postgres",
                "-Xc",
                &format!("DROP DATABASE \"{name}\" WITH (FORCE)"),
            ]);
        }
        let clean = format!("rm -rf /var/lib/odoo/filestore/{}*", self.database);
        let _ = try_docker(&["exec", &format!("ocore-test-odoo-{}", self.version), "sh", "-c", &clean]);
    }
}

/// Watches without cancelling.
pub async fn watched<T>(work: impl AsyncFnOnce(&mut Watch<'_>) -> T) -> T {
    let mut progress = |_: Progress| ();
    let mut watch = Watch { progress: &mut progress, cancel: CancellationToken::new() };
    work(&mut watch).await
}
