//! A terminal as a person has one, and what stands on it. The pseudo-terminal is `script`'s. The end-to-end tests use it too.
use std::{path::Path, process::Stdio, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    process::{Child, ChildStdin, ChildStdout, Command},
};

pub(crate) struct Terminal {
    child: Child,
    keys: ChildStdin,
    screen: ChildStdout,
    pub seen: String,
}

impl Terminal {
    /// Runs a program at a terminal so many columns wide; `script` is the command of that name with the person's environment. None, with the
    /// reason on standard output, where there is no `script`.
    pub(crate) fn start(
        mut script: Command,
        columns: u16,
        program: impl AsRef<Path>,
        args: &[&str],
        env: &[(&str, &str)],
    ) -> Option<Self> {
        let words: Vec<String> = args.iter().map(|a| format!("'{a}'")).collect();
        let command = format!("stty cols {columns} rows 50; exec '{}' {}", program.as_ref().display(), words.join(" "));
        script
            .args(["-qec", &command, "/dev/null"])
            .envs([("LANG", "C.UTF-8"), ("TERM", "xterm"), ("SHELL", "/bin/sh")])
            .envs(env.iter().copied());
        match script.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn() {
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
    pub(crate) async fn until(&mut self, text: &str) {
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
    pub(crate) async fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).await.unwrap();
        self.keys.flush().await.unwrap();
    }
    pub(crate) async fn end(mut self) -> (i32, String) {
        let _ = self.screen.read_to_string(&mut self.seen).await;
        (self.child.wait().await.unwrap().code().unwrap_or(-1), self.seen)
    }
}

/// What the QR code on a screen says, read as a camera sees it: black on white, two rows in each line of text.
pub(crate) fn qr_code(seen: &str) -> String {
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
    let (width, height) = (rows[0].len() * 4, rows.len() * 4);
    let mut image = rqrr::PreparedImage::prepare_from_greyscale(width, height, |x, y| if rows[y / 4][x / 4] { 0 } else { 255 });
    image.detect_grids()[0].decode().unwrap().1
}
