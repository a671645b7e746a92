//! Sessions for audit and knowledge: one key and client, ended by 30 minutes of silence, whatever the protocol.
use std::collections::HashMap;

use kernel::{KeyId, SessionId, Sources, Timestamp};
use parking_lot::Mutex;

const SILENCE_MINUTES: i64 = 30;
/// Clients that one key's sessions are told apart by; whoever invents more names shares one session.
const CLIENTS: usize = 50;

/// A session, and when it was last used.
type Used = (SessionId, Timestamp);

/// The sessions of this process, by key. In memory: a restart starts new ones. At most [`CLIENTS`] + 1 a key.
#[derive(Debug, Default)]
pub struct Sessions(Mutex<HashMap<KeyId, HashMap<u64, Used>>>);
impl Sessions {
    /// The session of a key and client, new after silence. `client` is any text that tells clients apart.
    pub fn of(&self, key: KeyId, client: &str, sources: &Sources) -> SessionId {
        let now = sources.now();
        let mut sessions = self.0.lock();
        let clients = sessions.entry(key).or_default();
        let mut client = fingerprint(client);
        if clients.len() >= CLIENTS && !clients.contains_key(&client) {
            clients.retain(|_, (_, last)| !ended(*last, now));
            if clients.len() >= CLIENTS {
                client = 0;
            }
        }
        let (session, last) = clients.entry(client).or_insert_with(|| (SessionId::new(sources), now));
        if ended(*last, now) {
            *session = SessionId::new(sources);
        }
        *last = now;
        *session
    }

    /// The session of a key and client if silence has not ended it; looking does not break the silence.
    pub fn alive(&self, key: KeyId, client: &str, sources: &Sources) -> Option<SessionId> {
        let now = sources.now();
        let sessions = self.0.lock();
        let clients = sessions.get(&key)?;
        let shared = || clients.get(&0).filter(|_| clients.len() >= CLIENTS);
        let (session, last) = clients.get(&fingerprint(client)).or_else(shared)?;
        (!ended(*last, now)).then_some(*session)
    }
}

fn ended(last: Timestamp, now: Timestamp) -> bool {
    (now - last).num_minutes() >= SILENCE_MINUTES
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

    #[test]
    fn looking_neither_makes_nor_prolongs_a_session() {
        let clock = Arc::new(ManualClock::at(kernel::parse_time("2026-01-01").unwrap()));
        let sources = Sources { clock: clock.clone(), random: Arc::new(SeededRandom::new(1)) };
        let (sessions, key) = (Sessions::default(), KeyId::new(&sources));
        assert_eq!(sessions.alive(key, "claude", &sources), None);
        let first = sessions.of(key, "claude", &sources);
        for _ in 0..2 {
            clock.advance(chrono_minutes(14));
            assert_eq!(sessions.alive(key, "claude", &sources), Some(first));
        }
        assert_eq!(sessions.alive(key, "cursor", &sources), None);
        clock.advance(chrono_minutes(2));
        assert_eq!(sessions.alive(key, "claude", &sources), None, "30 minutes after the last call, however often one looked");
        assert_ne!(sessions.of(key, "claude", &sources), first);
        for n in 0..CLIENTS {
            sessions.of(key, &format!("agent {n}"), &sources);
        }
        let shared = sessions.of(key, "one too many", &sources);
        assert_eq!(sessions.alive(key, "another too many", &sources), Some(shared));
    }

    #[test]
    fn invented_client_names_do_not_grow_the_table() {
        let (sources, sessions) = (Sources::system(), Sessions::default());
        let key = KeyId::new(&sources);
        for n in 0..10_000 {
            sessions.of(key, &format!("agent {n}"), &sources);
        }
        assert!(sessions.0.lock()[&key].len() <= CLIENTS + 1);
    }

    fn chrono_minutes(minutes: i64) -> kernel::TimeDelta {
        kernel::TimeDelta::minutes(minutes)
    }
}
