//! Structured logs on standard error.
use tracing_subscriber::{EnvFilter, fmt};

use crate::{
    config::{LogFormat, Settings},
    failure::{Failure, Result},
};

/// What a server logs unless it is told otherwise. rmcp notes every session and every message at `info`, which says nothing
/// that the audit does not say better.
const FOR_SERVER: &str = "info,rmcp=warn";

pub fn for_server(settings: &Settings) -> Result<()> {
    start(settings, settings.log_level.as_deref().unwrap_or(FOR_SERVER))
}

/// A command says on standard error only what went wrong, once; logs are for who asks for them.
pub fn for_commands(settings: &Settings) -> Result<()> {
    match &settings.log_level {
        Some(level) => start(settings, level),
        None => Ok(()),
    }
}

fn filter(level: &str) -> Result<EnvFilter> {
    EnvFilter::builder().parse(level).map_err(|_| {
        Failure::config(format!("log_level is \"{level}\"."))
            .next("Write error, warn, info, debug or trace, or info,gateway=debug.")
    })
}

fn start(settings: &Settings, level: &str) -> Result<()> {
    let builder = fmt().with_env_filter(filter(level)?).with_writer(std::io::stderr);
    // A second subscriber is refused, which only happens in tests.
    let _ = match settings.log_format {
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
        LogFormat::Text => builder.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).try_init(),
    };
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write,
        sync::{Arc, Mutex},
    };

    use super::*;

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);
    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn the_default_leaves_out_what_rmcp_notes_of_every_message() {
        let log = Log::default();
        let writer = log.clone();
        let subscriber =
            fmt().with_env_filter(filter(FOR_SERVER).ok().unwrap()).with_writer(move || writer.clone()).with_ansi(false).finish();
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(target: "rmcp::service", "noise");
            tracing::warn!(target: "rmcp::service", "trouble");
            tracing::info!(target: "gateway", "news");
            tracing::debug!(target: "gateway", "details");
        });
        let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        let seen: Vec<bool> = ["noise", "trouble", "news", "details"].iter().map(|word| text.contains(word)).collect();
        assert_eq!(seen, [false, true, true, false], "{text}");
    }
}
