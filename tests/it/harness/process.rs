//! The real program: its command line, and `ocore serve` as a child that dies with the test run.
use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, OnceLock, mpsc},
    time::{Duration, Instant},
};

use serde_json::Value;
use sqlx::{ConnectOptions as _, Connection as _};
use tempfile::TempDir;

use super::{Mcp, Odoo};

/// The program beside this test binary (target/debug/ocore).
pub(super) fn program() -> PathBuf {
    if let Some(path) = std::env::var_os("OCORE_TEST_PROGRAM") {
        return path.into();
    }
    let path = std::env::current_exe().expect("own path").parent().and_then(Path::parent).expect("target folder").join("ocore");
    assert!(path.exists(), "{} is not built: run cargo build -p ocore", path.display());
    path
}

#[derive(Debug)]
pub struct Output {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}
impl Output {
    pub fn json(&self) -> Value {
        serde_json::from_str(self.stdout.trim()).unwrap_or_else(|e| panic!("no JSON ({e}): {self:?}"))
    }
    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(self.code, 0, "{self:?}");
        self
    }
}

/// A data directory and, once started, the server on it.
pub struct Ocore {
    pub data: TempDir,
    pub url: String,
    server: Option<Child>,
    /// What the server prints after its first line.
    printed: Arc<Mutex<String>>,
    env: Vec<(String, String)>,
    program: PathBuf,
}

impl Ocore {
    /// A data directory with the organization `acme` and the server `host`; nothing runs yet.
    pub fn new() -> Self {
        Self::with_program(program())
    }

    /// The same with another build of the program.
    pub fn with_program(program: PathBuf) -> Self {
        let mut ocore = Self::bare();
        ocore.program = program;
        ocore.cli(&["org", "create", "acme"], "").ok();
        ocore.cli(&["server", "create", "host", "--org", "acme"], "").ok();
        ocore
    }

    /// An empty data directory.
    pub fn bare() -> Self {
        Self {
            program: program(),
            data: tempfile::tempdir().expect("a folder"),
            url: String::new(),
            server: None,
            printed: Arc::default(),
            env: vec![("OCORE_INSTANCE_NETWORKS".into(), "127.0.0.0/8".into())],
        }
    }

    /// Another node of the same installation: the same environment and key file, a data directory of its own.
    pub fn beside(other: &Self) -> Self {
        let mut node = Self::bare();
        node.env.clone_from(&other.env);
        node.program.clone_from(&other.program);
        for entry in std::fs::read_dir(other.data.path()).expect("a data directory").flatten() {
            if entry.file_name().to_string_lossy().contains("key") {
                std::fs::copy(entry.path(), node.data.path().join(entry.file_name())).expect("a copy");
            }
        }
        node
    }

    /// Adds an environment variable for every following command and the server.
    pub fn env(&mut self, name: &str, value: &str) {
        self.env.push((name.into(), value.into()));
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env_remove("OCORE_DATABASE_URL").env_remove("OCORE_DATA").envs(self.env.iter().map(|(k, v)| (k, v)));
        command
    }

    /// Runs one command of the command line on this data directory.
    pub fn cli(&self, args: &[&str], stdin: &str) -> Output {
        let mut child = self
            .command(&self.program)
            .arg("--data")
            .arg(self.data.path())
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        // A program that does not read its input closes the pipe: that is its right.
        let _ = child.stdin.take().expect("stdin").write_all(stdin.as_bytes());
        let output = child.wait_with_output().expect("the program ends");
        Output {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// The program as a person runs it elsewhere: nothing of this installation, only these variables.
    pub fn person(&self, home: &Path, env: &[(&str, &str)], args: &[&str]) -> Command {
        let mut command = Self::elsewhere(&self.program, home);
        command.envs(env.iter().copied()).args(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Any program as a person with that home runs it.
    pub fn elsewhere(program: &Path, home: &Path) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", home);
        command.env("OCORE_LOGIN_STORE", "file");
        command
    }

    /// The program under test.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// The URL as browsers know it: OAuth wants one name for all, and cookies are for a name.
    pub fn at_localhost(&self) -> String {
        format!("http://localhost:{}", self.url.rsplit(':').next().expect("a port"))
    }

    /// Starts `ocore serve` on a free port and waits for its line.
    pub fn serve(&mut self) -> &mut Self {
        self.serve_at("127.0.0.1:0")
    }

    /// The same at an address.
    pub fn serve_at(&mut self, listen: &str) -> &mut Self {
        assert!(self.server.is_none(), "it runs already");
        let log = std::fs::File::create(self.data.path().join("serve.log")).expect("a log");
        // setpriv: the server must not outlive a test run that is killed.
        let mut command = self.command(Path::new("setpriv"));
        command.args(["--pdeathsig", "KILL"]).arg(&self.program).arg("--data").arg(self.data.path());
        command.args(["serve", "--listen", listen]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
        let mut child = spawn_for_good(command);
        let (send, line) = mpsc::channel();
        let stdout = child.stdout.take().expect("stdout");
        self.printed = Arc::default();
        let printed = Arc::clone(&self.printed);
        std::thread::spawn(move || {
            let mut reader = BufReader::new(stdout);
            let mut first = String::new();
            let _ = reader.read_line(&mut first);
            let _ = send.send(first);
            // Whatever else it prints must not fill the pipe.
            for line in reader.lines().map_while(Result::ok) {
                let mut printed = printed.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                printed.push_str(&line);
                printed.push('\n');
            }
        });
        let line = line.recv_timeout(Duration::from_secs(20)).unwrap_or_default();
        let url = line
            .split_whitespace()
            .find(|w| w.starts_with("http"))
            .unwrap_or_else(|| panic!("no URL in {line:?}: {}", self.log()));
        let url = url.trim_end_matches('.');
        self.url = url.strip_suffix("/mcp").unwrap_or(url).trim_end_matches('/').to_owned();
        self.server = Some(child);
        self
    }

    /// What the server printed so far after its first line.
    pub fn printed(&self) -> String {
        self.printed.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    /// What the server logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.data.path().join("serve.log")).unwrap_or_default()
    }

    /// Ends the server with a signal (`TERM`, `KILL`) and gives its exit code (-1 when it was killed).
    pub fn stop(&mut self, signal: &str) -> i32 {
        let mut child = self.server.take().expect("it runs");
        let _ = Command::new("kill").args([&format!("-{signal}"), &child.id().to_string()]).status();
        let start = Instant::now();
        loop {
            if let Some(status) = child.try_wait().expect("a child") {
                return status.code().unwrap_or(-1);
            }
            assert!(start.elapsed() < Duration::from_secs(30), "it does not end: {}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn pid(&self) -> u32 {
        self.server.as_ref().expect("it runs").id()
    }

    /// Changes rows of the store while the server runs, which no command does: time goes by in a test by rows that grow old.
    pub async fn sql(&self, statement: &str) -> u64 {
        let file = sqlx::sqlite::SqliteConnectOptions::new().filename(self.data.path().join("ocore.db"));
        let mut store = file.busy_timeout(Duration::from_secs(20)).connect().await.expect("the store");
        let done = sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&mut store).await.expect("SQL");
        store.close().await.expect("the store");
        done.rows_affected()
    }

    /// Registers an Odoo as an instance of `acme`, with the administrator's password.
    pub fn instance(&self, slug: &str, odoo: &Odoo, extra: &[&str]) -> Output {
        let mut args = vec!["instance", "create", slug, "--org", "acme", "--server", "host", "--url", &odoo.url];
        args.extend(["--database", &odoo.database, "--login", "admin", "--secret-stdin"]);
        if !extra.contains(&"--environment") {
            args.extend(["--environment", "development"]);
        }
        args.extend(extra);
        self.cli(&args, "admin\n")
    }

    /// A key of `acme` with these flags (role admin unless one is given), and a client that uses it.
    pub fn key(&self, extra: &[&str]) -> Mcp {
        let mut args = vec!["key", "create", "--org", "acme"];
        if !extra.contains(&"--label") {
            args.extend(["--label", "test"]);
        }
        if !extra.contains(&"--role") && !extra.contains(&"--owner") {
            args.extend(["--role", "admin"]);
        }
        if !extra.contains(&"--rate") {
            args.extend(["--rate", "100000"]);
        }
        args.extend(extra);
        let output = self.cli(&args, "").ok();
        let key = output.stdout.lines().last().unwrap_or_default().trim().to_owned();
        assert!(key.starts_with("ock_"), "{output:?}");
        Mcp::new(&self.url, &key)
    }
}

impl Drop for Ocore {
    fn drop(&mut self) {
        if let Some(mut child) = self.server.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Spawns from a thread that never ends: Linux sends the death signal when the *thread* that forked ends, and a test's does.
fn spawn_for_good(command: Command) -> Child {
    type Job = (Command, mpsc::Sender<std::io::Result<Child>>);
    static NURSERY: OnceLock<Mutex<mpsc::Sender<Job>>> = OnceLock::new();
    let nursery = NURSERY.get_or_init(|| {
        let (send, jobs) = mpsc::channel::<Job>();
        std::thread::spawn(move || {
            for (mut command, reply) in jobs {
                let _ = reply.send(command.spawn());
            }
        });
        Mutex::new(send)
    });
    let (reply, child) = mpsc::channel();
    nursery.lock().unwrap_or_else(std::sync::PoisonError::into_inner).send((command, reply)).expect("the nursery lives");
    child.recv().expect("the nursery answers").expect("the program starts")
}
