//! Structured logs on standard error.
use tracing_subscriber::{EnvFilter, fmt};

use crate::{
    config::{LogFormat, Settings},
    failure::{Failure, Result},
};

/// A server logs from `info` on.
pub fn for_server(settings: &Settings) -> Result<()> {
    start(settings, settings.log_level.as_deref().unwrap_or("info"))
}

/// A command says on standard error only what went wrong, once; logs are for who asks for them.
pub fn for_commands(settings: &Settings) -> Result<()> {
    match &settings.log_level {
        Some(level) => start(settings, level),
        None => Ok(()),
    }
}

fn start(settings: &Settings, level: &str) -> Result<()> {
    let filter = EnvFilter::builder().parse(level).map_err(|_| {
        Failure::config(format!("log_level is \"{level}\"."))
            .next("Write error, warn, info, debug or trace, or info,gateway=debug.")
    })?;
    let builder = fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second subscriber is refused, which only happens in tests.
    let _ = match settings.log_format {
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
        LogFormat::Text => builder.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).try_init(),
    };
    Ok(())
}
