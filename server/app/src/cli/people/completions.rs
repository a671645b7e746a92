//! `ocore completions`
use clap::{Args, ValueEnum};
use serde_json::json;

use crate::terminal::Shown;

#[derive(Debug, Args)]
#[command(
    after_help = "bash: source <(ocore completions bash)\nzsh:  ocore completions zsh > \"${fpath[1]}/_ocore\"\nfish: ocore completions fish > ~/.config/fish/completions/ocore.fish"
)]
pub struct Completions {
    #[arg(value_enum)]
    shell: Shell,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

impl Completions {
    pub fn run(self, mut command: clap::Command) -> Shown {
        let shell = match self.shell {
            Shell::Bash => clap_complete::Shell::Bash,
            Shell::Zsh => clap_complete::Shell::Zsh,
            Shell::Fish => clap_complete::Shell::Fish,
        };
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut command, "ocore", &mut script);
        let script = String::from_utf8_lossy(&script).into_owned();
        Shown::new(script.clone(), json!({"shell": format!("{:?}", self.shell).to_lowercase(), "script": script}))
    }
}
