//! Sessions for audit and knowledge: one key and client, ended by 30 minutes of silence, whatever the protocol.
use std::{collections::HashMap, net::IpAddr};

use kernel::{Facade, KeyId, SessionId, Sources, Timestamp};
use parking_lot::Mutex;

const SILENCE_MINUTES: i64 = 30;
/// Clients that one key's sessions are told apart by; whoever invents more names shares one session.
const CLIENTS: usize = 50;
/// Characters that are kept of a client's name.
const NAME: usize = 80;
/// Beginnings and ends that wait to be written; when the store takes none for so long, the oldest are given up.
const WAITING: usize = 10_000;

/// A session as it stands, or as it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    pub id: SessionId,
    pub key: KeyId,
    /// The client's name as it gave it, without control characters, cut.
    pub client: String,
    pub facade: Facade,
    /// Where its first call came from.
    pub address: IpAddr,
    pub began: Timestamp,
    /// The last call so far.
    pub last: Timestamp,
    pub calls: u64,
}

/// What happened to a session, for the main audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Moment {
    Began(Session),
    /// After 30 minutes of silence.
    Ended(Session),
    /// The server stopped while it went on.
    Stopped(Session),
}

#[derive(Debug, Default)]
struct Table {
    by_key: HashMap<KeyId, HashMap<u64, Session>>,
    /// Not yet taken, oldest first.
    moments: Vec<Moment>,
}

/// The sessions of this process, by key. In memory: a restart starts new ones. At most [`CLIENTS`] + 1 a key.
#[derive(Debug, Default)]
pub struct Sessions(Mutex<Table>);
impl Sessions {
    /// The session of a key and client, new after silence. `client` is any text that tells clients apart.
    pub fn of(&self, key: KeyId, client: &str, address: IpAddr, facade: Facade, sources: &Sources) -> SessionId {
        let now = sources.now();
        let mut table = self.0.lock();
        let Table { by_key, moments } = &mut *table;
        let clients = by_key.entry(key).or_default();
        let (mut print, mut name) = (fingerprint(client), client);
        if clients.len() >= CLIENTS && !clients.contains_key(&print) {
            clients.retain(|_, session| {
                let stays = !ended(session.last, now);
                if !stays {
                    moments.push(Moment::Ended(session.clone()));
                }
                stays
            });
            if clients.len() >= CLIENTS {
                (print, name) = (0, "several clients");
            }
        }
        if let Some(session) = clients.get_mut(&print)
            && !ended(session.last, now)
        {
            session.last = now;
            session.calls += 1;
            return session.id;
        }
        let new = Session {
            id: SessionId::new(sources),
            key,
            client: name.chars().filter(|c| !c.is_control()).take(NAME).collect(),
            facade,
            address,
            began: now,
            last: now,
            calls: 1,
        };
        let id = new.id;
        let old = clients.insert(print, new.clone());
        moments.extend(old.map(Moment::Ended));
        moments.push(Moment::Began(new));
        let much = moments.len().saturating_sub(WAITING);
        moments.drain(..much);
        id
    }

    /// The session of a key and client if silence has not ended it; looking does not break the silence.
    pub fn alive(&self, key: KeyId, client: &str, sources: &Sources) -> Option<SessionId> {
        let now = sources.now();
        let table = self.0.lock();
        let clients = table.by_key.get(&key)?;
        let shared = || clients.get(&0).filter(|_| clients.len() >= CLIENTS);
        let session = clients.get(&fingerprint(client)).or_else(shared)?;
        (!ended(session.last, now)).then_some(session.id)
    }

    /// What happened since it was last asked, oldest first; sessions that silence has ended are forgotten.
    pub fn moments(&self, now: Timestamp) -> Vec<Moment> {
        let mut table = self.0.lock();
        let Table { by_key, moments } = &mut *table;
        by_key.retain(|_, clients| {
            clients.retain(|_, session| {
                let stays = !ended(session.last, now);
                if !stays {
                    moments.push(Moment::Ended(session.clone()));
                }
                stays
            });
            !clients.is_empty()
        });
        std::mem::take(moments)
    }
    /// The same when the server stops: nothing goes on after it.
    pub fn stop(&self) -> Vec<Moment> {
        let mut table = self.0.lock();
        let mut moments = std::mem::take(&mut table.moments);
        let left = std::mem::take(&mut table.by_key);
        moments.extend(left.into_values().flat_map(HashMap::into_values).map(Moment::Stopped));
        moments
    }
    /// Takes back what could not be written, to give it again.
    pub fn give_back(&self, mut moments: Vec<Moment>) {
        let mut table = self.0.lock();
        moments.append(&mut table.moments);
        let much = moments.len().saturating_sub(WAITING);
        moments.drain(..much);
        table.moments = moments;
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

    fn of(sessions: &Sessions, key: KeyId, client: &str, sources: &Sources) -> SessionId {
        sessions.of(key, client, [192, 0, 2, 1].into(), Facade::Mcp, sources)
    }

    #[test]
    fn thirty_minutes_of_silence_end_a_session() {
        let clock = Arc::new(ManualClock::at(kernel::parse_time("2026-01-01").unwrap()));
        let sources = Sources { clock: clock.clone(), random: Arc::new(SeededRandom::new(1)) };
        let (sessions, key) = (Sessions::default(), KeyId::new(&sources));
        let first = of(&sessions, key, "claude", &sources);
        clock.advance(chrono_minutes(29));
        assert_eq!(of(&sessions, key, "claude", &sources), first);
        assert_ne!(of(&sessions, key, "cursor", &sources), first);
        clock.advance(chrono_minutes(30));
        assert_ne!(of(&sessions, key, "claude", &sources), first);
    }

    #[test]
    fn looking_neither_makes_nor_prolongs_a_session() {
        let clock = Arc::new(ManualClock::at(kernel::parse_time("2026-01-01").unwrap()));
        let sources = Sources { clock: clock.clone(), random: Arc::new(SeededRandom::new(1)) };
        let (sessions, key) = (Sessions::default(), KeyId::new(&sources));
        assert_eq!(sessions.alive(key, "claude", &sources), None);
        let first = of(&sessions, key, "claude", &sources);
        for _ in 0..2 {
            clock.advance(chrono_minutes(14));
            assert_eq!(sessions.alive(key, "claude", &sources), Some(first));
        }
        assert_eq!(sessions.alive(key, "cursor", &sources), None);
        clock.advance(chrono_minutes(2));
        assert_eq!(sessions.alive(key, "claude", &sources), None, "30 minutes after the last call, however often one looked");
        assert_ne!(of(&sessions, key, "claude", &sources), first);
        for n in 0..CLIENTS {
            of(&sessions, key, &format!("agent {n}"), &sources);
        }
        let shared = of(&sessions, key, "one too many", &sources);
        assert_eq!(sessions.alive(key, "another too many", &sources), Some(shared));
    }

    #[test]
    fn invented_client_names_do_not_grow_the_table() {
        let (sources, sessions) = (Sources::system(), Sessions::default());
        let key = KeyId::new(&sources);
        for n in 0..10_000 {
            of(&sessions, key, &format!("agent {n}"), &sources);
        }
        assert!(sessions.0.lock().by_key[&key].len() <= CLIENTS + 1);
    }

    #[test]
    fn beginnings_and_ends_are_told_once() {
        let clock = Arc::new(ManualClock::at(kernel::parse_time("2026-01-01").unwrap()));
        let sources = Sources { clock: clock.clone(), random: Arc::new(SeededRandom::new(1)) };
        let (sessions, key) = (Sessions::default(), KeyId::new(&sources));
        let first = of(&sessions, key, "claude\n\u{7}", &sources);
        of(&sessions, key, "claude\n\u{7}", &sources);
        let told = sessions.moments(sources.now());
        let [Moment::Began(session)] = told.as_slice() else { panic!("{told:?}") };
        assert_eq!((session.id, session.client.as_str()), (first, "claude"));
        assert_eq!(sessions.moments(sources.now()), []);
        sessions.give_back(told.clone());
        assert_eq!(sessions.moments(sources.now()), told, "what could not be written is told again");

        clock.advance(chrono_minutes(29));
        assert_eq!(of(&sessions, key, "claude\n\u{7}", &sources), first);
        clock.advance(chrono_minutes(30));
        let told = sessions.moments(sources.now());
        let [Moment::Ended(session)] = told.as_slice() else { panic!("{told:?}") };
        assert_eq!((session.id, session.calls, (session.last - session.began).num_minutes()), (first, 3, 29));

        // One that a new one takes the place of before anybody looked.
        let second = of(&sessions, key, "cursor", &sources);
        clock.advance(chrono_minutes(31));
        let third = of(&sessions, key, "cursor", &sources);
        let told = sessions.moments(sources.now());
        let ids: Vec<_> = told
            .iter()
            .map(|m| match m {
                Moment::Began(s) => ("began", s.id),
                Moment::Ended(s) => ("ended", s.id),
                Moment::Stopped(s) => ("stopped", s.id),
            })
            .collect();
        assert_eq!(ids, [("began", second), ("ended", second), ("began", third)]);
        let told = sessions.stop();
        assert!(matches!(told.as_slice(), [Moment::Stopped(s)] if s.id == third), "{told:?}");
        assert_eq!(sessions.stop(), []);
    }

    fn chrono_minutes(minutes: i64) -> kernel::TimeDelta {
        kernel::TimeDelta::minutes(minutes)
    }
}
