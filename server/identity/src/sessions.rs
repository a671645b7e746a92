//! Sessions for audit and knowledge: one key and client, ended by 30 minutes of silence, whatever the protocol.
use std::collections::HashMap;

use kernel::{KeyId, SessionId, Sources, Timestamp};
use parking_lot::Mutex;

const SILENCE_MINUTES: i64 = 30;
/// Above this many, the silent ones are cleared away before another is added.
const CROWDED: usize = 10_000;

/// The sessions of this process. In memory: a restart starts new ones.
#[derive(Debug, Default)]
pub struct Sessions(Mutex<HashMap<(KeyId, u64), (SessionId, Timestamp)>>);
impl Sessions {
    /// The session of a key and client, new after silence. `client` is any text that tells clients apart.
    pub fn of(&self, key: KeyId, client: &str, sources: &Sources) -> SessionId {
        let now = sources.now();
        let ended = |last: Timestamp| (now - last).num_minutes() >= SILENCE_MINUTES;
        let mut sessions = self.0.lock();
        if sessions.len() >= CROWDED {
            sessions.retain(|_, (_, last)| !ended(*last));
        }
        let (session, last) = sessions.entry((key, fingerprint(client))).or_insert_with(|| (SessionId::new(sources), now));
        if ended(*last) {
            *session = SessionId::new(sources);
        }
        *last = now;
        *session
    }
}

/// FNV-1a: the text of a client is only ever compared, and may be long.
fn fingerprint(client: &str) -> u64 {
    client.bytes().fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use kernel::{ManualClock, SeededRandom};

    use super::*;

    #[test]
    fn thirty_minutes_of_silence_end_a_session() {
        let clock = Arc::new(ManualClock::at(kernel::parse_time("2026-01-01").unwrap()));
        let sources = Sources { clock: clock.clone(), random: Arc::new(SeededRandom::new(1)) };
        let (sessions, key) = (Sessions::default(), KeyId::new(&sources));
        let first = sessions.of(key, "claude", &sources);
        clock.advance(chrono_minutes(29));
        assert_eq!(sessions.of(key, "claude", &sources), first);
        assert_ne!(sessions.of(key, "cursor", &sources), first);
        clock.advance(chrono_minutes(30));
        assert_ne!(sessions.of(key, "claude", &sources), first);
    }

    fn chrono_minutes(minutes: i64) -> kernel::TimeDelta {
        kernel::TimeDelta::minutes(minutes)
    }
}
