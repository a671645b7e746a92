//! Odoo logins and their sealed secrets.
use kernel::{CredentialId, InstanceId, KeyId, OrgId, RpcConnection, RpcDialect, SecretString, Sources, Timestamp};

use crate::{
    Db, On, Result, Row, Tx, args,
    events::{self, Change},
    vault::{Place, Vault},
};

fn place(row: &str) -> Place<'_> {
    Place { table: "credentials", column: "secret", row }
}

#[derive(Debug, Clone)]
pub struct NewCredential<'a> {
    pub org: OrgId,
    pub instance: InstanceId,
    pub login: &'a str,
    pub secret: &'a SecretString,
    pub dialect: RpcDialect,
}

/// Sets the instance's default credential. A changed one keeps its id, is no longer marked as refused, and gets a new generation.
pub async fn set_default(tx: &mut Tx, vault: &Vault, new: &NewCredential<'_>, sources: &Sources) -> Result<CredentialId> {
    use kernel::ExposeSecret as _;
    let now = sources.now();
    let sql = "SELECT id FROM credentials WHERE org_id = $1 AND instance_id = $2 AND is_default";
    let old = tx.fetch_optional(sql, args![new.org, new.instance]).await?;
    let id = old.as_ref().map(|r| r.parsed("credentials.id")).transpose()?.unwrap_or_else(|| CredentialId::new(sources));
    let sealed = vault.seal(place(&id.to_string()), new.secret.expose_secret().as_bytes())?;
    if old.is_some() {
        tx.execute(
            "UPDATE credentials SET login = $2, secret = $3, dialect = $4, refused_at = NULL, generation = generation + 1, \
             updated_at = $5 WHERE id = $1",
            args![id, new.login, sealed, new.dialect, now],
        )
        .await?;
    } else {
        tx.execute(
            "INSERT INTO credentials (id, org_id, instance_id, is_default, login, secret, dialect, created_at, updated_at) \
             VALUES ($1, $2, $3, TRUE, $4, $5, $6, $7, $7)",
            args![id, new.org, new.instance, new.login, sealed, new.dialect, now],
        )
        .await?;
    }
    events::write(tx, Change::Credential, Some(new.org), id, now).await?;
    Ok(id)
}

/// Sets a key's own credential of an instance, as [`set_default`] does the instance's.
pub async fn set_own(tx: &mut Tx, vault: &Vault, key: KeyId, new: &NewCredential<'_>, sources: &Sources) -> Result<CredentialId> {
    use kernel::ExposeSecret as _;
    let now = sources.now();
    let sql = "SELECT id FROM credentials WHERE org_id = $1 AND instance_id = $2 AND key_id = $3";
    let old = tx.fetch_optional(sql, args![new.org, new.instance, key]).await?;
    let id = old.as_ref().map(|r| r.parsed("credentials.id")).transpose()?.unwrap_or_else(|| CredentialId::new(sources));
    let sealed = vault.seal(place(&id.to_string()), new.secret.expose_secret().as_bytes())?;
    if old.is_some() {
        tx.execute(
            "UPDATE credentials SET login = $2, secret = $3, dialect = $4, refused_at = NULL, generation = generation + 1, \
             updated_at = $5 WHERE id = $1",
            args![id, new.login, sealed, new.dialect, now],
        )
        .await?;
    } else {
        tx.execute(
            "INSERT INTO credentials (id, org_id, instance_id, key_id, is_default, login, secret, dialect, created_at, updated_at) \
             VALUES ($1, $2, $3, $4, FALSE, $5, $6, $7, $8, $8)",
            args![id, new.org, new.instance, key, new.login, sealed, new.dialect, now],
        )
        .await?;
    }
    events::write(tx, Change::Credential, Some(new.org), id, now).await?;
    Ok(id)
}

/// Gives false when the key had none there.
pub async fn remove_own(tx: &mut Tx, org: OrgId, instance: InstanceId, key: KeyId, now: Timestamp) -> Result<bool> {
    let sql = "DELETE FROM credentials WHERE org_id = $1 AND instance_id = $2 AND key_id = $3";
    let gone = tx.execute(sql, args![org, instance, key]).await?;
    events::write(tx, Change::Credential, Some(org), key, now).await?;
    Ok(gone > 0)
}

/// A key's own login to an instance.
#[derive(Debug, Clone)]
pub struct Own {
    pub key: KeyId,
    pub instance: InstanceId,
    pub rpc: RpcConnection,
}
/// One that cannot be read whole is there and refused: the key must not act by another.
pub(crate) fn read_own(row: &Row) -> Result<Own> {
    let (key, instance) = (row.parsed("credentials.key_id")?, row.parsed("credentials.instance_id")?);
    let whole = || -> Result<RpcConnection> {
        Ok(RpcConnection {
            credential: row.parsed("credentials.id")?,
            login: row.text("credentials.login")?,
            dialect: row.parsed("credentials.dialect")?,
            refused: row.opt_text("credentials.refused_at")?.is_some(),
            generation: row.int("credentials.generation")?,
        })
    };
    let rpc = whole().unwrap_or_else(|error| {
        tracing::error!(error = &error as &dyn std::error::Error, %key, "a key's own credential cannot be read; the key cannot use the instance");
        RpcConnection {
            credential: CredentialId::nil(),
            login: String::new(),
            dialect: RpcDialect::Auto,
            refused: true,
            generation: 0,
        }
    });
    Ok(Own { key, instance, rpc })
}
/// All keys' own ones: for the registry.
pub(crate) async fn own_rows(on: impl Into<On<'_>>) -> Result<Vec<Row>> {
    let sql = "SELECT id, key_id, instance_id, login, dialect, refused_at, generation FROM credentials WHERE key_id IS NOT NULL";
    on.into().fetch_all(sql, args![]).await
}
/// A key's own ones, for lists.
pub async fn own(on: impl Into<On<'_>>, org: OrgId, key: KeyId) -> Result<Vec<Own>> {
    let sql = "SELECT id, key_id, instance_id, login, dialect, refused_at, generation FROM credentials \
               WHERE org_id = $1 AND key_id = $2 ORDER BY instance_id";
    on.into().fetch_all(sql, args![org, key]).await?.iter().map(read_own).collect()
}

/// Gives false when the instance had none.
pub async fn remove_default(tx: &mut Tx, org: OrgId, instance: InstanceId, now: Timestamp) -> Result<bool> {
    let gone =
        tx.execute("DELETE FROM credentials WHERE org_id = $1 AND instance_id = $2 AND is_default", args![org, instance]).await?;
    events::write(tx, Change::Credential, Some(org), instance, now).await?;
    Ok(gone > 0)
}

/// A credential as it is at this moment, opened.
#[derive(Debug)]
pub struct Opened {
    pub login: String,
    pub secret: SecretString,
    pub generation: i64,
    /// Odoo refused it and nobody has changed it since.
    pub refused: bool,
    /// The key whose own it is; none for the instance's default.
    pub key: Option<KeyId>,
}

/// What the ways into instances need of the store: opened secrets, and the mark that Odoo refused one.
#[derive(Debug, Clone)]
pub struct CredentialStore {
    db: Db,
    vault: Vault,
    sources: Sources,
}
impl CredentialStore {
    pub fn new(db: Db, vault: Vault, sources: Sources) -> Self {
        Self { db, vault, sources }
    }

    /// The credential of that instance; none when it is gone or another instance's.
    pub async fn open(&self, instance: InstanceId, credential: CredentialId) -> Result<Option<Opened>> {
        let sql = "SELECT login, secret, generation, refused_at, key_id FROM credentials WHERE id = $1 AND instance_id = $2";
        let Some(row) = self.db.fetch_optional(sql, args![credential, instance]).await? else { return Ok(None) };
        Ok(Some(Opened {
            login: row.text("credentials.login")?,
            secret: self.vault.open_text(place(&credential.to_string()), &row.bytes("credentials.secret")?)?,
            generation: row.int("credentials.generation")?,
            refused: row.opt_text("credentials.refused_at")?.is_some(),
            key: row.opt_parsed("credentials.key_id")?,
        }))
    }

    /// Marks that Odoo refused this generation of the credential, so that nobody uses it again until it is changed. One that was
    /// changed meanwhile is left alone. Gives whether it was marked now.
    pub async fn mark_refused(&self, credential: CredentialId, generation: i64) -> Result<bool> {
        let now = self.sources.now();
        let mut tx = self.db.begin().await?;
        let sql = "UPDATE credentials SET refused_at = $3 WHERE id = $1 AND generation = $2 AND refused_at IS NULL";
        let marked = tx.execute(sql, args![credential, generation, now]).await? > 0;
        if marked {
            events::write(&mut tx, Change::Credential, None, credential, now).await?;
        }
        tx.commit().await?;
        Ok(marked)
    }

    /// The address of the instance's own database, opened.
    pub async fn postgres_url(&self, org: OrgId, instance: InstanceId) -> Result<Option<SecretString>> {
        crate::instances::postgres_url(&self.db, &self.vault, org, instance).await
    }

    /// One of ocore's own logins in it, opened.
    pub async fn sql_login(&self, org: OrgId, instance: InstanceId, writer: bool) -> Result<Option<crate::instances::SqlLogin>> {
        crate::instances::sql_login(&self.db, &self.vault, org, instance, writer).await
    }

    /// What TLS or ssh to a Docker endpoint needs, opened.
    pub async fn docker_secret(&self, org: OrgId, server: kernel::ServerId) -> Result<Option<SecretString>> {
        crate::servers::docker_secret(&self.db, &self.vault, org, server).await
    }

    /// The key of the instance's PostHog, opened.
    pub async fn posthog_key(&self, org: OrgId, instance: InstanceId) -> Result<Option<SecretString>> {
        crate::instances::posthog_key(&self.db, &self.vault, org, instance).await
    }
}

/// Whether a login of the instance was refused, for lists.
pub async fn refused_at(on: impl Into<On<'_>>, org: OrgId, id: CredentialId) -> Result<Option<Timestamp>> {
    let row =
        on.into().fetch_optional("SELECT refused_at FROM credentials WHERE id = $1 AND org_id = $2", args![id, org]).await?;
    row.map_or(Ok(None), |r| r.opt_time("credentials.refused_at"))
}
