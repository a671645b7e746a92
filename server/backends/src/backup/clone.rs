//! A copy of a database beside the live one, on the same server: with an identity of its own, and neutralized, so that it sends
//! no mail and moves no money.
//!
//! Until it is neutralized it is a template to PostgreSQL, which Odoo leaves alone: none of its scheduled actions runs.
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    Instance, Step, Watch,
    create::{look, measured_in, names_in},
    docker::{
        self,
        exec::{Exit, Limits},
    },
    error::{Error, Result},
    filestore,
    postgres::{Client, database_name, ident, literal},
    store::Backups,
};

const NEUTRALIZE: &str = include_str!("scripts/neutralize.sql");
const NEUTRALIZED: &str = include_str!("scripts/neutralized.sql");

/// What is asked for.
#[derive(Debug, Clone)]
pub struct CopyRequest {
    /// The new database; must not exist.
    pub database: String,
    /// Random: the copy's `database.uuid` and `database.secret` are made of them.
    pub random: [[u8; 16]; 2],
}

/// A finished copy.
#[derive(Debug, Clone)]
pub struct Copied {
    pub database: String,
    pub filestore: String,
    /// Files of its filestore, and their bytes.
    pub files: u64,
    pub bytes: u64,
    /// Files that attachments name and that were missing in the source already.
    pub missing: u64,
    pub uuid: String,
    /// By PostgreSQL's own copying; otherwise by dump and load, because the source was in use.
    pub by_template: bool,
    pub neutralized: Neutralized,
}

/// What is still on in a copy, read back from it: all zero but for `marked`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, PartialEq, Eq)]
pub struct Neutralized {
    /// Odoo's own command did it (16 and later); otherwise ocore's statements.
    #[serde(default)]
    pub by_odoo: bool,
    /// `database.is_neutralized` says so.
    pub marked: bool,
    /// Active servers for outgoing mail that exist (Odoo's fallback to its configuration file is closed by one that does not).
    pub mail_servers: u64,
    /// None that would be asked for mail.
    pub fetchmail_servers: u64,
    /// Active scheduled actions besides the clean-up of old records.
    pub scheduled_actions: u64,
    /// Payment providers that move money.
    pub payment_providers: u64,
    /// Actions that call other systems.
    pub webhooks: u64,
    /// Accounts for Odoo's paid services whose token was not spoiled.
    pub iap_tokens: u64,
}
impl Neutralized {
    /// What is not as it should be, in words; none when all is.
    pub fn left(&self) -> Option<String> {
        let mut left: Vec<String> = [
            (self.mail_servers, "outgoing mail servers"),
            (self.fetchmail_servers, "incoming mail servers"),
            (self.scheduled_actions, "scheduled actions"),
            (self.payment_providers, "payment providers"),
            (self.webhooks, "webhooks"),
            (self.iap_tokens, "IAP tokens"),
        ]
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
        if !self.marked {
            left.push("no database.is_neutralized".to_owned());
        }
        (!left.is_empty()).then(|| left.join(", "))
    }
}

impl Backups {
    /// Copies an instance's database under a new name, with its filestore, and neutralizes the copy. Nothing of the source is
    /// changed. On an error, and when cancelled, what was made is removed.
    ///
    /// Users, their passwords and API keys are those of the source.
    ///
    /// # Errors
    /// [`Error::Left`] when not everything could be removed.
    pub async fn clone_database(&self, source: &Instance, request: &CopyRequest, watch: &mut Watch<'_>) -> Result<Copied> {
        let _lock = self.lock(&source.id).await?;
        self.unfinished(&source.id).await?;
        database_name(&request.database)?;
        watch.tell(Step::Check, 0, 0);
        let client = Client::new(source);
        let before = look(&client, source, false, &watch.cancel).await?;
        if !before.facts.createdb {
            return Err(Error::Role { role: source.postgres.user.clone(), lacks: "may not create databases".to_owned() });
        }
        let server = before.facts.number / 10_000;
        client.fits("pg_dump", server).await?;
        let parent = before.root.rsplit_once('/').map_or("", |(parent, _)| parent);
        let to = format!("{parent}/{}", request.database);
        if !client.databases(&[&request.database]).await?.is_empty() {
            return Err(Error::Taken { what: "The database", name: request.database.clone() });
        }
        if filestore::look(&source.odoo, &[&to]).await?.contains(&true) {
            return Err(Error::Taken { what: "The filestore", name: to });
        }
        watch.go_on()?;
        let work = Copying { source, request, client: &client, root: before.root, to };
        match work.run(&before.facts.locale, before.facts.size, &before.odoo_version, watch).await {
            Ok(copied) => Ok(copied),
            // Between our look and our order somebody else made it: it is not ours to remove.
            Err(Error::Sql { said, .. }) if said.contains("already exists") => {
                Err(Error::Taken { what: "The database", name: request.database.clone() })
            }
            Err(error) => Err(work.undone(error).await),
        }
    }
}

struct Copying<'a> {
    source: &'a Instance,
    request: &'a CopyRequest,
    client: &'a Client,
    root: String,
    to: String,
}
impl Copying<'_> {
    async fn run(&self, locale: &super::postgres::Locale, size: u64, version: &str, watch: &mut Watch<'_>) -> Result<Copied> {
        let (client, copy) = (self.client, self.request.database.as_str());
        watch.tell(Step::Copy, 0, size);
        let by_template = self.by_template().await?;
        if !by_template {
            client.create(copy, locale).await?;
            self.by_dump(size, watch).await?;
            client.analyze(copy, &watch.cancel).await?;
        }

        watch.tell(Step::Filestore, 0, 0);
        let names = names_in(client, copy, &watch.cancel).await?;
        let there = filestore::measure(&self.source.odoo, &self.root, &names, &watch.cancel).await?;
        watch.tell(Step::Filestore, 0, there.size);
        let done = filestore::copy(&self.source.odoo, (&self.root, &self.to), there.size, &names, &watch.cancel).await?;
        if let Some(example) = done.missing.difference(&there.missing).next() {
            return Err(Error::FilesGone { count: done.missing.len() - there.missing.len(), example: example.clone() });
        }

        watch.tell(Step::Neutralize, 0, 0);
        let uuid = self.identity().await?;
        let by_odoo = main_version(version) >= 16;
        if by_odoo {
            let limits = Limits { deadline: Duration::from_mins(5), ..Limits::default() };
            let ended = self.source.odoo.command(&["neutralize", "-d", copy, "--log-level=warn"], &limits).await?;
            if ended.exit != Exit::Code(0) {
                let text = ended.stderr.text();
                let said = text.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or("it tells no reason");
                let said = said.chars().take(500).collect();
                return Err(docker::Error::OdooStart {
                    container: self.source.odoo.name().to_owned(),
                    database: copy.to_owned(),
                    said,
                }
                .into());
            }
        } else {
            client.sql(copy, "neutralize the copy", NEUTRALIZE).await?;
        }
        let mut neutralized: Neutralized = client.json(copy, "read the copy", NEUTRALIZED).await?;
        neutralized.by_odoo = by_odoo;
        if let Some(left) = neutralized.left() {
            return Err(Error::NotNeutralized { left });
        }
        watch.tell(Step::ReadBack, 0, 0);
        let found = measured_in(client, &self.source.odoo, copy, &self.to, &watch.cancel).await?;
        if let Some(name) = found.missing.difference(&there.missing).next() {
            return Err(Error::NotEqual { why: format!("{name} is missing in the copy's filestore") });
        }
        watch.go_on()?;
        client.open(copy).await?;
        Ok(Copied {
            database: copy.to_owned(),
            filestore: self.to.clone(),
            files: done.count,
            bytes: done.size,
            missing: there.missing.len() as u64,
            uuid,
            by_template,
            neutralized,
        })
    }

    /// By PostgreSQL's own copying, where nobody is in the source.
    async fn by_template(&self) -> Result<bool> {
        let (from, to) = (&self.source.database, &self.request.database);
        let sessions = format!("SELECT to_json(count(*)) FROM pg_stat_activity WHERE datname = {};", literal(from));
        if self.client.json::<u64>("postgres", "look for sessions", &sessions).await? > 0 {
            return Ok(false);
        }
        let sql = format!("CREATE DATABASE {} TEMPLATE {} IS_TEMPLATE true;", ident(to), ident(from));
        match self.client.outside("copy the database", &sql).await {
            Ok(_) => Ok(true),
            // Somebody came.
            Err(Error::Sql { said, .. }) if said.contains("being accessed by other users") => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// From pg_dump into pg_restore, with nothing on disk and little in memory.
    async fn by_dump(&self, size: u64, watch: &mut Watch<'_>) -> Result<()> {
        let cancel = watch.cancel.clone();
        let mut dump = self.client.dump(&self.source.database, false).await?;
        // The copy is removed on any error: it needs no transaction, nor the locks that one would hold.
        let mut load = self.client.load(&self.request.database, false, false).await?;
        let mut done = 0;
        while let Some(data) = dump.next(&cancel).await? {
            done += data.len() as u64;
            load.give(&data);
            if !load.room(true, &cancel).await? {
                break;
            }
            watch.tell(Step::Copy, done, size);
        }
        load.give(&[]);
        load.room(false, &cancel).await.map(drop)
    }

    /// Gives the copy an identity of its own; its users' sessions end with the secret.
    async fn identity(&self) -> Result<String> {
        let [uuid, secret] = self.request.random.map(uuid);
        let sql = format!(
            "UPDATE ir_config_parameter SET value = {} WHERE key = 'database.uuid';
             UPDATE ir_config_parameter SET value = {} WHERE key = 'database.secret';
             UPDATE ir_config_parameter SET value = to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') WHERE key = 'database.create_date';
             DELETE FROM ir_config_parameter WHERE key = 'database.enterprise_code';
             SELECT to_json(value) FROM ir_config_parameter WHERE key = 'database.uuid';",
            literal(&uuid),
            literal(&secret)
        );
        let found: String = self.client.json(&self.request.database, "give the copy an identity", &sql).await?;
        if found == uuid { Ok(uuid) } else { Err(Error::NotEqual { why: "the copy has the source's database.uuid".to_owned() }) }
    }

    /// Removes what was made, and gives the error that is to be told.
    async fn undone(&self, error: Error) -> Error {
        let dropped =
            self.client.drop(&self.request.database).await.map_err(|_| format!("the database {}", self.request.database));
        let removed = filestore::remove(&self.source.odoo, &[&self.to]).await.map_err(|_| format!("the filestore {}", self.to));
        let left: Vec<_> = [dropped.err(), removed.err()].into_iter().flatten().collect();
        if left.is_empty() { error } else { Error::Left { left: left.join(" and "), source: Box::new(error) } }
    }
}

/// A random UUID (version 4, RFC 9562 section 5.4).
fn uuid(mut random: [u8; 16]) -> String {
    let [.., six, _, eight, _, _, _, _, _, _, _] = &mut random;
    *six = *six & 0x0f | 0x40;
    *eight = *eight & 0x3f | 0x80;
    let digits = super::dump::hex(&random);
    let part = |from: usize, to: usize| digits.get(from..to).unwrap_or_default();
    format!("{}-{}-{}-{}-{}", part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32))
}
/// 19 of `19.0`, 18 of `saas~18.2`.
fn main_version(version: &str) -> u32 {
    let digits: String = version.chars().skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_is_of_version_4() {
        assert_eq!(uuid([0xff; 16]), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_eq!(uuid([0; 16]), "00000000-0000-4000-8000-000000000000");
    }
    #[test]
    fn versions_are_told_apart() {
        assert_eq!((main_version("14.0-20201004"), main_version("saas~18.2+e"), main_version("19.0")), (14, 18, 19));
    }
}
