//! People with a login, and their roles in organizations.
use kernel::{OrgId, Role, Sources, Timestamp, UserId};

use crate::{
    On, Result, Row, Tx, args,
    events::{self, Change},
    password_resets, web_sessions,
};

#[derive(Debug, Clone)]
pub struct UserRow {
    pub id: UserId,
    /// As it was written; compared in lower case.
    pub email: String,
    pub operator: bool,
    pub active: bool,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}
pub(crate) fn read(row: &Row) -> Result<UserRow> {
    Ok(UserRow {
        id: row.parsed("users.id")?,
        email: row.text("users.email")?,
        operator: row.bool("users.operator")?,
        active: row.bool("users.active")?,
        created_at: row.time("users.created_at")?,
        updated_at: row.time("users.updated_at")?,
    })
}

/// The form in which addresses are compared.
pub fn email_key(email: &str) -> String {
    email.trim().to_lowercase()
}

pub(crate) async fn rows(on: impl Into<On<'_>>) -> Result<Vec<Row>> {
    on.into().fetch_all("SELECT id, email, operator, active, created_at, updated_at FROM users ORDER BY email_key", args![]).await
}

/// All of them, by address: for operators.
pub async fn list(on: impl Into<On<'_>>) -> Result<Vec<UserRow>> {
    rows(on).await?.iter().map(read).collect()
}

/// A member of an organization.
#[derive(Debug, Clone)]
pub struct Member {
    pub user: UserRow,
    pub role: Role,
}

/// Those of one organization, by address.
pub async fn members(on: impl Into<On<'_>>, org: OrgId) -> Result<Vec<Member>> {
    let sql = "SELECT u.id, u.email, u.operator, u.active, u.created_at, u.updated_at, m.role \
               FROM memberships m JOIN users u ON u.id = m.user_id WHERE m.org_id = $1 ORDER BY u.email_key";
    let rows = on.into().fetch_all(sql, args![org]).await?;
    rows.iter().map(|r| Ok(Member { user: read(r)?, role: r.parsed("memberships.role")? })).collect()
}

pub async fn find(on: impl Into<On<'_>>, id: UserId) -> Result<Option<UserRow>> {
    let sql = "SELECT id, email, operator, active, created_at, updated_at FROM users WHERE id = $1";
    on.into().fetch_optional(sql, args![id]).await?.as_ref().map(read).transpose()
}

/// The case of the address does not matter.
pub async fn by_email(on: impl Into<On<'_>>, email: &str) -> Result<Option<UserRow>> {
    let sql = "SELECT id, email, operator, active, created_at, updated_at FROM users WHERE email_key = $1";
    on.into().fetch_optional(sql, args![email_key(email)]).await?.as_ref().map(read).transpose()
}

/// The argon2 hash to check a login against; none when the user signs in elsewhere.
pub async fn password_hash(on: impl Into<On<'_>>, id: UserId) -> Result<Option<String>> {
    let row = on.into().fetch_optional("SELECT password_hash FROM users WHERE id = $1", args![id]).await?;
    row.map_or(Ok(None), |r| r.opt_text("users.password_hash"))
}

/// # Errors
/// `Unique` when the address, in whatever case, is taken.
pub async fn create(tx: &mut Tx, email: &str, password_hash: Option<&str>, operator: bool, sources: &Sources) -> Result<UserId> {
    let (id, now) = (UserId::new(sources), sources.now());
    tx.execute(
        "INSERT INTO users (id, email, email_key, password_hash, operator, active, created_at, updated_at) \
         VALUES ($1, $2, $3, $4, $5, TRUE, $6, $6)",
        args![id, email.trim(), email_key(email), password_hash, operator, now],
    )
    .await?;
    events::write(tx, Change::User, None, id, now).await?;
    Ok(id)
}

/// What to change; what is none stays.
#[derive(Clone, Default)]
pub struct UserChange {
    pub active: Option<bool>,
    pub operator: Option<bool>,
    pub password_hash: Option<String>,
}
impl std::fmt::Debug for UserChange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let password = self.password_hash.as_ref().map(|_| "…");
        f.debug_struct("UserChange")
            .field("active", &self.active)
            .field("operator", &self.operator)
            .field("password", &password)
            .finish()
    }
}

/// Gives false when there is no such user. Another password, or being disabled, ends the user's sessions.
pub async fn update(tx: &mut Tx, id: UserId, change: &UserChange, now: Timestamp) -> Result<bool> {
    let changed = tx
        .execute(
            "UPDATE users SET active = COALESCE($2, active), operator = COALESCE($3, operator), \
             password_hash = COALESCE($4, password_hash), updated_at = $5 WHERE id = $1",
            args![id, change.active, change.operator, change.password_hash.as_ref(), now],
        )
        .await?;
    if change.active == Some(false) || change.password_hash.is_some() {
        web_sessions::end_all(tx, id).await?;
    }
    if change.password_hash.is_some() {
        password_resets::forget(tx, id).await?;
    }
    events::write(tx, Change::User, None, id, now).await?;
    Ok(changed > 0)
}

/// Sets a password in place of the one with the hash `old`; none where there was none. Gives false when it is another one by now.
/// Whoever calls this ends the user's other sessions in the same transaction.
pub async fn change_password(tx: &mut Tx, id: UserId, old: Option<&str>, new: &str, now: Timestamp) -> Result<bool> {
    let sql = "UPDATE users SET password_hash = $3, updated_at = $4 \
               WHERE id = $1 AND active AND COALESCE(password_hash, '') = $2";
    let changed = tx.execute(sql, args![id, old.unwrap_or_default(), new, now]).await?;
    password_resets::forget(tx, id).await?;
    events::write(tx, Change::User, None, id, now).await?;
    Ok(changed > 0)
}

/// How many users there are, disabled ones too.
pub async fn count(on: impl Into<On<'_>>) -> Result<i64> {
    on.into().fetch_optional("SELECT count(*) AS n FROM users", args![]).await?.map_or(Ok(0), |r| r.int("n"))
}

/// The user's role in the organization.
pub async fn role(on: impl Into<On<'_>>, org: OrgId, user: UserId) -> Result<Option<Role>> {
    let row =
        on.into().fetch_optional("SELECT role FROM memberships WHERE org_id = $1 AND user_id = $2", args![org, user]).await?;
    row.map(|r| r.parsed("memberships.role")).transpose()
}

/// Makes the user a member, or changes the role.
pub async fn set_role(tx: &mut Tx, org: OrgId, user: UserId, role: Role, now: Timestamp) -> Result<()> {
    tx.execute(
        "INSERT INTO memberships (org_id, user_id, role, created_at) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (org_id, user_id) DO UPDATE SET role = $3",
        args![org, user, role, now],
    )
    .await?;
    events::write(tx, Change::Membership, Some(org), user, now).await
}

/// Gives false when the user was no member.
pub async fn remove_member(tx: &mut Tx, org: OrgId, user: UserId, now: Timestamp) -> Result<bool> {
    let gone = tx.execute("DELETE FROM memberships WHERE org_id = $1 AND user_id = $2", args![org, user]).await?;
    events::write(tx, Change::Membership, Some(org), user, now).await?;
    Ok(gone > 0)
}

/// How many active owners the organization has.
pub async fn owners(on: impl Into<On<'_>>, org: OrgId) -> Result<i64> {
    let sql = "SELECT count(*) AS n FROM memberships m JOIN users u ON u.id = m.user_id \
               WHERE m.org_id = $1 AND m.role = 'owner' AND u.active";
    on.into().fetch_optional(sql, args![org]).await?.map_or(Ok(0), |r| r.int("n"))
}

/// An organization that a user is a member of.
#[derive(Debug, Clone)]
pub struct Membership {
    pub org: OrgId,
    pub slug: String,
    pub name: String,
    pub role: Role,
    /// How many instances it has that are not archived.
    pub instances: u32,
}

/// The organizations of a user as people read them, by slug.
pub async fn organizations(on: impl Into<On<'_>>, user: UserId) -> Result<Vec<Membership>> {
    let sql = "SELECT o.id, o.slug, o.name, m.role, \
               (SELECT count(*) FROM instances i WHERE i.org_id = o.id AND i.state <> 'archived') AS instances \
               FROM memberships m JOIN organizations o ON o.id = m.org_id WHERE m.user_id = $1 ORDER BY o.slug";
    let read = |row: &Row| {
        Ok(Membership {
            org: row.parsed("organizations.id")?,
            slug: row.text("organizations.slug")?,
            name: row.text("organizations.name")?,
            role: row.parsed("memberships.role")?,
            instances: row.uint("instances")?,
        })
    };
    on.into().fetch_all(sql, args![user]).await?.iter().map(read).collect()
}

/// The organizations of a user, with the role in each.
pub async fn memberships(on: impl Into<On<'_>>, user: UserId) -> Result<Vec<(OrgId, Role)>> {
    let rows =
        on.into().fetch_all("SELECT org_id, role FROM memberships WHERE user_id = $1 ORDER BY org_id", args![user]).await?;
    rows.iter().map(|r| Ok((r.parsed("memberships.org_id")?, r.parsed("memberships.role")?))).collect()
}
