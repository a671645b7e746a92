//! Links that open an instance as one of its Odoo users, and the visits that they become. A link lives for a minute and is opened once,
//! by the person whose key asked for it; a visit lives for an hour. Texts that open something are kept as SHA-256 alone, the Odoo
//! session sealed and only until it ends.
use kernel::{
    Code, ExposeSecret as _, ImpersonationId, InstanceId, KeyId, OrgId, SecretString, Sources, TimeDelta, Timestamp, UserId,
    WritePermit, refusal,
};
use sha2::{Digest as _, Sha256};
use url::Url;

use crate::{
    Db, On, Result, Row, Tx, args,
    caller::Caller,
    vault::{Place, Vault},
};

/// How long a link waits to be opened.
pub const LINK: TimeDelta = TimeDelta::seconds(60);
/// How long a visit may last.
pub const VISIT: TimeDelta = TimeDelta::hours(1);
/// How long the browser has to come to the instance's host name once the link is opened.
pub const HANDOFF: TimeDelta = TimeDelta::seconds(30);

const SESSION: (&str, &str) = ("impersonations", "session");

/// What every text that opens something starts with: it is recognised, and taken out, wherever something is written down.
const PREFIX: &str = "ocv_";

/// A text that opens something, [`PREFIX`] and 256 random bits in hexadecimal, and what is stored of it.
pub struct Token {
    pub text: SecretString,
    pub hash: [u8; 32],
}
impl Token {
    pub fn new(sources: &Sources) -> Self {
        let mut bytes = [0_u8; 32];
        sources.random.fill(&mut bytes);
        let text = bytes.iter().fold(String::from(PREFIX), |mut text, byte| {
            for half in [byte >> 4, byte & 15] {
                text.push(char::from_digit(half.into(), 16).unwrap_or('0'));
            }
            text
        });
        Self { hash: hash(&text), text: text.into() }
    }
}
/// What is stored of such a text.
pub fn hash(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

/// What is known of a link or visit.
#[derive(Debug, Clone)]
pub struct Impersonation {
    pub id: ImpersonationId,
    pub org: OrgId,
    pub instance: InstanceId,
    /// Who asked, and alone may open it.
    pub user: UserId,
    pub key: KeyId,
    pub key_label: String,
    pub odoo_user: i64,
    pub odoo_login: String,
    /// The page of Odoo that it opens at: `/odoo`, `/web`, `/my`.
    pub landing: String,
    pub reason: String,
    pub created_at: Timestamp,
    pub link_until: Timestamp,
    pub opened_at: Option<Timestamp>,
    /// The end of the visit; none before it was opened.
    pub ends_at: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
    pub ended_why: Option<String>,
}
impl Impersonation {
    /// Whether a visit goes on.
    pub fn is_visit(&self, now: Timestamp) -> bool {
        self.ended_at.is_none() && self.ends_at.is_some_and(|end| end > now)
    }
}
fn read(row: &Row) -> Result<Impersonation> {
    Ok(Impersonation {
        id: row.parsed("impersonations.id")?,
        org: row.parsed("impersonations.org_id")?,
        instance: row.parsed("impersonations.instance_id")?,
        user: row.parsed("impersonations.user_id")?,
        key: row.parsed("impersonations.key_id")?,
        key_label: row.text("impersonations.key_label")?,
        odoo_user: row.int("impersonations.odoo_user")?,
        odoo_login: row.text("impersonations.odoo_login")?,
        landing: row.text("impersonations.landing")?,
        reason: row.text("impersonations.reason")?,
        created_at: row.time("impersonations.created_at")?,
        link_until: row.time("impersonations.link_until")?,
        opened_at: row.opt_time("impersonations.opened_at")?,
        ends_at: row.opt_time("impersonations.ends_at")?,
        ended_at: row.opt_time("impersonations.ended_at")?,
        ended_why: row.opt_text("impersonations.ended_why")?,
    })
}

/// Where a call leaves its link. Nothing is read through it.
#[derive(Debug, Clone)]
pub struct Impersonations {
    db: Db,
    vault: Vault,
    sources: Sources,
    caller: Caller,
    base: Url,
}
impl Impersonations {
    /// `base` is the URL at which people reach ocore.
    pub fn new(db: Db, vault: Vault, sources: Sources, caller: Caller, base: Url) -> Self {
        Self { db, vault, sources, caller, base }
    }
    /// The person for whom a link would be.
    ///
    /// # Errors
    /// `permission_denied` for a key of the organization's own: nobody could open its link.
    pub fn person(&self) -> kernel::Result<UserId> {
        self.caller.user.ok_or_else(|| {
            refusal(Code::PermissionDenied, "This API key belongs to no person, and a link is opened by the key's owner alone.")
                .next("Use a key of your own: ocore key create --owner EMAIL")
                .into()
        })
    }
}

/// The Odoo user that a link is for.
#[derive(Debug)]
pub struct As<'a> {
    pub odoo_user: i64,
    pub odoo_login: &'a str,
    pub landing: &'static str,
    pub reason: &'a str,
    /// The cookie of the Odoo session, `session_id=…`.
    pub session: &'a SecretString,
}

/// The same, and it writes.
#[derive(Debug, Clone)]
pub struct ImpersonationsWriter(Impersonations);
impl std::ops::Deref for ImpersonationsWriter {
    type Target = Impersonations;
    fn deref(&self) -> &Impersonations {
        &self.0
    }
}
impl ImpersonationsWriter {
    pub fn new(impersonations: Impersonations, _proof: &WritePermit) -> Self {
        Self(impersonations)
    }
    /// Keeps a link for `person`. Gives its URL, once, and until when it can be opened.
    pub async fn create(&self, person: UserId, link: As<'_>) -> Result<(SecretString, Timestamp)> {
        let Impersonations { db, vault, sources, caller, base } = &self.0;
        let (id, now, token) = (ImpersonationId::new(sources), sources.now(), Token::new(sources));
        let row = id.to_string();
        let sealed = vault.seal(place(&row), link.session.expose_secret().as_bytes())?;
        let until = now + LINK;
        db.execute(
            "INSERT INTO impersonations (id, org_id, instance_id, user_id, key_id, key_label, call_id, odoo_user, odoo_login, \
             landing, reason, session, created_at, link_hash, link_until) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
            args![
                id,
                caller.org,
                caller.instance,
                person,
                caller.key,
                &caller.key_label,
                caller.call,
                link.odoo_user,
                link.odoo_login,
                link.landing,
                link.reason,
                sealed,
                now,
                token.hash,
                until,
            ],
        )
        .await?;
        let url = format!("{}/impersonate/{}", base.as_str().trim_end_matches('/'), token.text.expose_secret());
        Ok((url.into(), until))
    }
}

fn place(row: &str) -> Place<'_> {
    Place { table: SESSION.0, column: SESSION.1, row }
}

/// By the text of its link, in whatever state it is.
pub async fn by_link(on: impl Into<On<'_>>, link: &str) -> Result<Option<Impersonation>> {
    let row = on.into().fetch_optional("SELECT * FROM impersonations WHERE link_hash = $1", args![hash(link)]).await?;
    row.as_ref().map(read).transpose()
}

/// By the cookie of its visit, with the cookie of the Odoo session, opened; none when either is gone.
pub async fn by_visit(
    on: impl Into<On<'_>>,
    vault: &Vault,
    cookie: &str,
    now: Timestamp,
) -> Result<Option<(Impersonation, SecretString)>> {
    let sql = "SELECT * FROM impersonations WHERE visit_hash = $1 AND ended_at IS NULL AND ends_at > $2 AND session IS NOT NULL";
    let Some(row) = on.into().fetch_optional(sql, args![hash(cookie), now]).await? else { return Ok(None) };
    let found = read(&row)?;
    let session = vault.open_text(place(&found.id.to_string()), &row.bytes("impersonations.session")?)?;
    Ok(Some((found, session)))
}

/// Turns a link into a visit: once, and only while the link lives. Gives the text with which the browser comes to the instance's host
/// name; none when somebody was faster, or it is over.
pub async fn open(tx: &mut Tx, id: ImpersonationId, sources: &Sources) -> Result<Option<SecretString>> {
    let (now, token) = (sources.now(), Token::new(sources));
    let opened = tx
        .execute(
            "UPDATE impersonations SET opened_at = $2, handoff_hash = $3, handoff_until = $4, ends_at = $5 \
             WHERE id = $1 AND opened_at IS NULL AND ended_at IS NULL AND link_until > $2",
            args![id, now, token.hash, now + HANDOFF, now + VISIT],
        )
        .await?;
    Ok((opened > 0).then_some(token.text))
}

/// Whether that is the text of [`open`] of a link that waits for its browser.
pub async fn is_handoff(on: impl Into<On<'_>>, handoff: &str) -> Result<bool> {
    if handoff.len() != PREFIX.len() + 64 || !handoff.starts_with(PREFIX) {
        return Ok(false);
    }
    let sql = "SELECT 1 AS one FROM impersonations WHERE handoff_hash = $1 AND ended_at IS NULL";
    Ok(on.into().fetch_optional(sql, args![hash(handoff)]).await?.is_some())
}

/// Takes the text of [`open`], once. Gives the visit and the text of its cookie.
pub async fn enter(tx: &mut Tx, handoff: &str, sources: &Sources) -> Result<Option<(Impersonation, SecretString)>> {
    let (now, token) = (sources.now(), Token::new(sources));
    let entered = tx
        .execute(
            "UPDATE impersonations SET visit_hash = $2, handoff_hash = NULL \
             WHERE handoff_hash = $1 AND handoff_until > $3 AND ended_at IS NULL AND visit_hash IS NULL",
            args![hash(handoff), token.hash, now],
        )
        .await?;
    if entered == 0 {
        return Ok(None);
    }
    let row = tx.fetch_optional("SELECT * FROM impersonations WHERE visit_hash = $1", args![token.hash]).await?;
    Ok(row.as_ref().map(read).transpose()?.map(|found| (found, token.text)))
}

/// Odoo has given the session another cookie.
pub async fn renew(tx: &mut Tx, vault: &Vault, id: ImpersonationId, session: &SecretString) -> Result<()> {
    let row = id.to_string();
    let sealed = vault.seal(place(&row), session.expose_secret().as_bytes())?;
    tx.execute("UPDATE impersonations SET session = $2 WHERE id = $1 AND ended_at IS NULL", args![id, sealed]).await?;
    Ok(())
}

/// One of an organization's.
pub async fn find(on: impl Into<On<'_>>, org: OrgId, id: ImpersonationId) -> Result<Option<Impersonation>> {
    let row = on.into().fetch_optional("SELECT * FROM impersonations WHERE id = $1 AND org_id = $2", args![id, org]).await?;
    row.as_ref().map(read).transpose()
}

/// Has all open visits of a person end now: they open nothing any more, and who cleans up ends their sessions in Odoo too.
pub async fn expire(tx: &mut Tx, user: UserId, now: Timestamp) -> Result<u64> {
    let sql = "UPDATE impersonations SET ends_at = $2 WHERE user_id = $1 AND opened_at IS NOT NULL AND ended_at IS NULL AND ends_at > $2";
    tx.execute(sql, args![user, now]).await
}

/// Ends a link or a visit. Gives the cookie of its Odoo session, which is to be ended too; none when it had ended.
pub async fn end(tx: &mut Tx, vault: &Vault, id: ImpersonationId, why: &str, now: Timestamp) -> Result<Option<SecretString>> {
    let sql = "SELECT session FROM impersonations WHERE id = $1 AND ended_at IS NULL AND session IS NOT NULL";
    let Some(row) = tx.fetch_optional(sql, args![id]).await? else { return Ok(None) };
    let sealed = row.bytes("impersonations.session")?;
    let ended = tx
        .execute(
            "UPDATE impersonations SET ended_at = $2, ended_why = $3, session = NULL, handoff_hash = NULL \
             WHERE id = $1 AND ended_at IS NULL",
            args![id, now, why],
        )
        .await?;
    if ended == 0 {
        return Ok(None);
    }
    Ok(Some(vault.open_text(place(&id.to_string()), &sealed)?))
}

/// Links that nobody opened in time, and visits whose hour is over.
pub async fn due(on: impl Into<On<'_>>, now: Timestamp) -> Result<Vec<Impersonation>> {
    let sql = "SELECT * FROM impersonations WHERE ended_at IS NULL AND ((opened_at IS NULL AND link_until <= $1) OR ends_at <= $1 \
               OR (visit_hash IS NULL AND handoff_until <= $1)) \
               ORDER BY id LIMIT 100";
    on.into().fetch_all(sql, args![now]).await?.iter().map(read).collect()
}

/// The visits of a person that go on, those included that are on their way to the instance's host name.
pub async fn of_user(on: impl Into<On<'_>>, user: UserId) -> Result<Vec<Impersonation>> {
    let sql = "SELECT * FROM impersonations WHERE user_id = $1 AND opened_at IS NOT NULL AND ended_at IS NULL ORDER BY id";
    on.into().fetch_all(sql, args![user]).await?.iter().map(read).collect()
}

/// An organization's, newest first.
pub async fn list(on: impl Into<On<'_>>, org: OrgId, limit: u32) -> Result<Vec<Impersonation>> {
    let sql = "SELECT * FROM impersonations WHERE org_id = $1 ORDER BY id DESC LIMIT $2";
    on.into().fetch_all(sql, args![org, limit]).await?.iter().map(read).collect()
}

/// Forgets those that ended before `before`.
pub async fn prune(tx: &mut Tx, before: Timestamp) -> Result<u64> {
    tx.execute("DELETE FROM impersonations WHERE ended_at < $1", args![before]).await
}
