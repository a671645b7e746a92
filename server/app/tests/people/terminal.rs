//! At a terminal: what a person sees and types. The pseudo-terminal is `script`'s.
use std::{process::Stdio, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    process::{Child, ChildStdin, ChildStdout},
};

use crate::{Person, authority::Authority};

struct Terminal {
    child: Child,
    keys: ChildStdin,
    screen: ChildStdout,
    seen: String,
}

impl Terminal {
    /// None, with the reason on standard output, where there is no `script`.
    fn start(person: &Person, columns: u16, args: &[&str], env: &[(&str, &str)]) -> Option<Self> {
        let words: Vec<String> = args.iter().map(|a| format!("'{a}'")).collect();
        let command = format!("stty cols {columns} rows 50; exec '{}' {}", env!("CARGO_BIN_EXE_ocore"), words.join(" "));
        let mut script = person.program("script");
        script
            .args(["-qec", &command, "/dev/null"])
            .envs([("LANG", "C.UTF-8"), ("TERM", "xterm"), ("SHELL", "/bin/sh")])
            .envs(env.iter().copied());
        match script.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn() {
            Ok(mut child) => {
                let (keys, screen) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
                Some(Self { child, keys, screen, seen: String::new() })
            }
            Err(e) => {
                println!("SKIPPED: there is no `script` that makes a terminal: {e}");
                None
            }
        }
    }
    async fn until(&mut self, text: &str) {
        let reading = async {
            while !self.seen.contains(text) {
                let mut bytes = [0; 4096];
                let count = self.screen.read(&mut bytes).await.unwrap();
                assert!(count > 0, "it ended without {text:?}: {}", self.seen);
                self.seen.push_str(&String::from_utf8_lossy(&bytes[..count]));
            }
        };
        let came = tokio::time::timeout(Duration::from_mins(1), reading).await.is_ok();
        assert!(came, "{text:?} did not come: {}", self.seen);
    }
    async fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).await.unwrap();
        self.keys.flush().await.unwrap();
    }
    async fn end(mut self) -> (i32, String) {
        let _ = self.screen.read_to_string(&mut self.seen).await;
        (self.child.wait().await.unwrap().code().unwrap_or(-1), self.seen)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_shows_code_address_and_a_qr_code_that_can_be_read() {
    let server = Authority::start().await;
    server.facts().polls.extend(["authorization_pending"]);
    let person = Person::new();
    let Some(terminal) = Terminal::start(&person, 100, &["login", &server.url], &[]) else { return };
    let (code, seen) = terminal.end().await;
    assert_eq!(code, 0, "{seen}");
    assert!(seen.contains("BCKF-HMLT") && seen.contains(&format!("{}/device", server.url)), "{seen}");
    assert!(seen.contains("Waiting for your approval, 1") && seen.contains("Signed in"), "{seen}");
    let rows: Vec<Vec<bool>> = seen
        .lines()
        .filter_map(|line| line.split_once("\u{1b}[48;5;231m")?.1.split_once("\u{1b}[0m").map(|(blocks, _)| blocks))
        .flat_map(|blocks| {
            let upper = blocks.chars().map(|c| matches!(c, '█' | '▀')).collect();
            let lower = blocks.chars().map(|c| matches!(c, '█' | '▄')).collect();
            [upper, lower]
        })
        .collect();
    assert!(rows.len() > 20, "no QR code: {seen}");
    let mut image =
        rqrr::PreparedImage::prepare_from_greyscale(
            rows[0].len() * 4,
            rows.len() * 4,
            |x, y| if rows[y / 4][x / 4] { 0 } else { 255 },
        );
    assert_eq!(image.detect_grids()[0].decode().unwrap().1, format!("{}/device?user_code=BCKF-HMLT", server.url));
}

#[tokio::test(flavor = "multi_thread")]
async fn narrow_and_plain_terminals_get_no_qr_code() {
    let server = Authority::start().await;
    for (columns, env) in [(30, &[][..]), (100, &[("NO_COLOR", "1")][..]), (100, &[("LANG", "C")][..])] {
        let Some(terminal) = Terminal::start(&Person::new(), columns, &["login", &server.url], env) else { return };
        let (code, seen) = terminal.end().await;
        assert_eq!(code, 0, "{seen}");
        assert!(seen.contains("BCKF-HMLT") && !seen.contains('█'), "{seen}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn control_c_leaves_nothing() {
    let server = Authority::start().await;
    server.facts().polls.extend(["authorization_pending"; 100]);
    let person = Person::new();
    let Some(mut terminal) = Terminal::start(&person, 80, &["login", &server.url], &[]) else { return };
    terminal.until("Waiting").await;
    terminal.press("\u{3}").await;
    let (code, seen) = terminal.end().await;
    assert_eq!(code, 1, "{seen}");
    assert!(seen.contains("Nothing was kept"), "{seen}");
    assert!(!person.folder().join("logins.json").exists());
    assert_eq!(server.facts().issued, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_warning_is_shown_and_asked_about() {
    let server = Authority::start().await;
    let person = Person::at(&server).await;
    for (keys, code, says) in [("n\n", 3, "Nothing was changed"), ("\n", 3, "Nothing was changed"), ("y\n", 0, "deleted:  1")] {
        let calls = server.facts().calls.len();
        let Some(mut terminal) = Terminal::start(&person, 80, &["call", "dev_ask"], &[]) else { return };
        terminal.until("Go on? [y/N]").await;
        terminal.press(keys).await;
        let (ended, seen) = terminal.end().await;
        assert_eq!(ended, code, "{seen}");
        assert!(seen.contains("Would delete 1 record") && seen.contains("(id 9)") && seen.contains(says), "{seen}");
        assert!(!seen.contains("owned\u{7}") && !seen.contains("\u{9b}") && !seen.contains("\u{1b}[31;5m"), "{seen:?}");
        let asked = server.facts().calls.split_off(calls).iter().filter(|c| *c == "tools/call dev_ask").count();
        assert_eq!(asked, if code == 0 { 2 } else { 1 });
    }
}
