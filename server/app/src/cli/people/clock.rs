//! What time it is, for what a server says of tokens.

/// Seconds since 1970.
#[expect(clippy::disallowed_methods, reason = "a command of a person's own machine: its clock is the one that counts")]
pub fn now() -> i64 {
    chrono::Utc::now().timestamp()
}

/// A point in time for people and programs, as RFC 3339 in UTC.
pub fn text(seconds: i64) -> String {
    chrono::DateTime::from_timestamp(seconds, 0)
        .map_or_else(|| "unknown".to_owned(), |at| at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true))
}

/// `in 42 minutes`, `3 minutes ago`.
pub fn relative(seconds: i64, now: i64) -> String {
    let distance = seconds.saturating_sub(now);
    let size = distance.unsigned_abs();
    let (count, unit) = match size {
        0..60 => (size, "second"),
        60..3600 => (size / 60, "minute"),
        3600..86400 => (size / 3600, "hour"),
        _ => (size / 86400, "day"),
    };
    let s = if count == 1 { "" } else { "s" };
    if distance >= 0 { format!("in {count} {unit}{s}") } else { format!("{count} {unit}{s} ago") }
}

/// `in 3 days (2026-11-21T17:54:13Z)`
pub fn both(seconds: i64, now: i64) -> String {
    format!("{} ({})", relative(seconds, now), text(seconds))
}

/// A point in time as RFC 3339 writes it.
pub fn read(text: &str) -> Option<i64> {
    chrono::DateTime::parse_from_rfc3339(text).ok().map(|at| at.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_well() {
        assert_eq!(text(1_795_283_653), "2026-11-21T17:54:13Z");
        assert_eq!(relative(160, 100), "in 1 minute");
        assert_eq!(relative(0, 7200), "2 hours ago");
        assert_eq!(both(read("2026-11-21T17:54:13.5Z").unwrap(), 1_795_283_600), "in 53 seconds (2026-11-21T17:54:13Z)");
        assert_eq!(read("soon"), None);
        assert_eq!(relative(i64::MAX, i64::MIN), "in 106751991167300 days");
    }
}
