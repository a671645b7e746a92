//! One credential's way into one instance: signs in once, chooses and changes the dialect, sends requests through the
//! instance's gate and reads answers. Never a login storm: one login at a time, and none after a refused one.
use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU8, AtomicU32, Ordering},
    },
    time::Duration,
};

use kernel::{Code, ExposeSecret, Fault, Instance, OdooVersion, Refusal, RpcConnection, RpcDialect, refusal};
use parking_lot::RwLock;
use reqwest::{Url, header::HeaderValue};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::{
    sync::{Mutex, OnceCell},
    time::Instant,
};

use super::{
    Credential, Credentials, Result,
    dialect::{self, Dialect, DocumentationPage, Request, Said, SessionInfo, VersionInfo},
    error::{Failure, Kind, OdooError},
    gate::{Gate, Pass},
    http::{Answer, Headers, Http, NoAnswer},
};

/// A timeout that waited at least so long counts for the breaker: shorter ones say more about the deadline.
const TELLING: Duration = Duration::from_millis(750);

#[derive(Debug)]
pub(super) struct Client {
    /// Unlike any other client's: what is cached about the instance is cached for one client.
    pub id: u64,
    http: Arc<Http>,
    gate: Arc<Gate>,
    credentials: Arc<dyn Credentials>,
    instance: Arc<Instance>,
    rpc: RpcConnection,
    credential: Credential,
    database: HeaderValue,
    bearer: Option<HeaderValue>,
    urls: Urls,
    /// 0 until chosen, then a [`Dialect`] and one.
    dialect: AtomicU8,
    cookie: RwLock<Option<HeaderValue>>,
    /// A session without a user that is bound to the database: without one, 14 and 15 answer every error of `/jsonrpc` with a
    /// bare page of status 500 where they serve several databases.
    bound: RwLock<Option<HeaderValue>>,
    /// 0 until known.
    uid: AtomicI64,
    login: Mutex<()>,
    /// Calls at a time, as the newest snapshot of the instance has it.
    concurrency: AtomicU32,
    dead: RwLock<Option<Refusal>>,
    version: OnceCell<VersionInfo>,
}

#[derive(Debug)]
struct Urls {
    base: Url,
    call_kw: Url,
    sign_in: Url,
    jsonrpc: Url,
    version: Url,
}

impl Client {
    pub(super) fn new(
        id: u64,
        http: Arc<Http>,
        gate: Arc<Gate>,
        credentials: Arc<dyn Credentials>,
        instance: Arc<Instance>,
        rpc: RpcConnection,
        credential: Credential,
    ) -> Result<Self> {
        http.check(&instance.url)?;
        let database =
            HeaderValue::from_str(&instance.database).map_err(|_| Fault::failed("a database name that is no header value"))?;
        let bearer = HeaderValue::from_str(&format!("bearer {}", credential.secret.expose_secret())).ok().map(|mut value| {
            value.set_sensitive(true);
            value
        });
        let urls = Urls {
            call_kw: under(&instance.url, "/web/dataset/call_kw"),
            sign_in: under(&instance.url, "/web/session/authenticate"),
            jsonrpc: under(&instance.url, "/jsonrpc"),
            version: under(&instance.url, "/web/webclient/version_info"),
            base: instance.url.clone(),
        };
        Ok(Self {
            id,
            http,
            gate,
            credentials,
            concurrency: AtomicU32::new(instance.concurrency),
            instance,
            rpc,
            credential,
            database,
            bearer,
            urls,
            dialect: AtomicU8::new(0),
            cookie: RwLock::new(None),
            bound: RwLock::new(None),
            uid: AtomicI64::new(0),
            login: Mutex::new(()),
            dead: RwLock::new(None),
            version: OnceCell::new(),
        })
    }

    pub(super) fn allow(&self, concurrency: u32) {
        self.concurrency.store(concurrency, Ordering::Relaxed);
    }

    /// Calls a method and reads its answer as `T`. A read that got no answer, or lost against somebody else's change, is
    /// asked once more; a write never is.
    pub(super) async fn call<T: DeserializeOwned>(&self, request: &Request<'_>, deadline: Instant) -> Result<T, Failure> {
        self.alive()?;
        let pass = self.gate.enter(self.concurrency.load(Ordering::Relaxed), deadline).await?;
        let first = self.once(request, &pass, deadline).await;
        let again = !request.write
            && match &first {
                Err(Failure::Again(_)) => true,
                Err(Failure::Odoo(e)) => e.kind == Kind::Concurrency,
                _ => false,
            };
        match if again { self.once(request, &pass, deadline).await } else { first } {
            Err(Failure::Again(fault)) => Err(Failure::Fault(fault)),
            other => other,
        }
    }

    async fn once<T: DeserializeOwned>(&self, request: &Request<'_>, pass: &Pass, deadline: Instant) -> Result<T, Failure> {
        // Each turn but the last changes something: the session is renewed or the dialect falls back.
        for _ in 0..4 {
            let said = match self.dialect(deadline, pass).await? {
                Dialect::Session => self.by_session(request, pass, deadline).await?,
                Dialect::JsonRpc => self.by_jsonrpc(request, pass, deadline).await?,
                Dialect::Json2 => self.by_json2(request, pass, deadline).await?,
            };
            match said {
                Turn::Said(result) => return result.map_err(Failure::Odoo),
                Turn::Again => {}
            }
        }
        Err(refusal(Code::OdooError, "Odoo ended every new session at once.")
            .next("Look at odoo_logs; an administrator checks the instance's credential.")
            .into())
    }

    // ---- the three ways

    async fn by_session<T: DeserializeOwned>(
        &self,
        request: &Request<'_>,
        pass: &Pass,
        deadline: Instant,
    ) -> Result<Turn<T>, Failure> {
        let known = self.cookie.read().clone();
        let (cookie, fresh) = match known {
            Some(cookie) => (cookie, false),
            None => match self.sign_in(pass, deadline).await? {
                Some(cookie) => (cookie, true),
                None => return Ok(Turn::Again),
            },
        };
        let headers = Headers { cookie: Some(&cookie), ..Headers::default() };
        let answer = self.post(&self.urls.call_kw, dialect::call_kw(request)?, headers, request, pass, deadline).await?;
        // Without a valid session a server of several databases knows no such route (404), others say that it expired.
        if answer.status == 404 {
            if fresh {
                self.switch(Dialect::JsonRpc);
            } else {
                self.forget(&cookie);
            }
            return Ok(Turn::Again);
        }
        match dialect::read_rpc(&answer.body) {
            Said::Result(result) => {
                self.keep(answer.session, &cookie);
                Ok(Turn::Said(Ok(result)))
            }
            Said::Error(error) if error.kind == Kind::SessionExpired && !fresh => {
                self.forget(&cookie);
                Ok(Turn::Again)
            }
            Said::Error(error) => {
                if error.kind != Kind::SessionExpired {
                    self.keep(answer.session, &cookie);
                }
                Ok(Turn::Said(Err(error)))
            }
            Said::Garbage => Err(self.garbage(&answer, request)),
        }
    }

    async fn by_jsonrpc<T: DeserializeOwned>(
        &self,
        request: &Request<'_>,
        pass: &Pass,
        deadline: Instant,
    ) -> Result<Turn<T>, Failure> {
        let known = self.uid.load(Ordering::Acquire);
        let uid = if known > 0 {
            known
        } else {
            match self.authenticate(pass, deadline).await? {
                Some(uid) => uid,
                None => return Ok(Turn::Again),
            }
        };
        let body = dialect::execute_kw(request, &self.instance.database, uid, self.credential.secret.expose_secret())?;
        let bound = self.bound.read().clone();
        let headers = Headers { cookie: bound.as_ref(), ..self.with_database() };
        let answer = self.post(&self.urls.jsonrpc, body, headers, request, pass, deadline).await?;
        if answer.status == 404 {
            return self.without_jsonrpc(pass, deadline).await.map(|()| Turn::Again);
        }
        match dialect::read_rpc(&answer.body) {
            Said::Result(result) => Ok(Turn::Said(Ok(result))),
            Said::Error(error) => {
                // The method itself may deny access; only another login tells whether it is the credential.
                if error.kind == Kind::AccessDenied && known > 0 {
                    self.uid.store(0, Ordering::Release);
                    self.authenticate(pass, deadline).await?;
                }
                Ok(Turn::Said(Err(error)))
            }
            Said::Garbage => Err(self.garbage(&answer, request)),
        }
    }

    async fn by_json2<T: DeserializeOwned>(
        &self,
        request: &Request<'_>,
        pass: &Pass,
        deadline: Instant,
    ) -> Result<Turn<T>, Failure> {
        let names = match dialect::parameters(request.method) {
            Some(names) if names.len() >= request.args.len() => names.iter().map(|n| (*n).to_owned()).collect(),
            _ if request.args.is_empty() => Vec::new(),
            _ => self.documented_names(request, pass, deadline).await?,
        };
        match self.post_json2(request, &names, pass, deadline).await? {
            // An override may have renamed an argument: the documentation has the names that count. Arguments that do not
            // bind are refused before anything runs, so even a write may be sent again.
            Said::Error(error) if error.kind == Kind::Signature && !request.args.is_empty() => {
                match self.documented_names(request, pass, deadline).await {
                    Ok(told) if told != names => match self.post_json2(request, &told, pass, deadline).await? {
                        Said::Result(result) => Ok(Turn::Said(Ok(result))),
                        Said::Error(error) => Ok(Turn::Said(Err(error))),
                        Said::Garbage => Err(refusal(Code::OdooError, "Odoo's answer could not be read.").into()),
                    },
                    _ => Ok(Turn::Said(Err(error))),
                }
            }
            Said::Error(error) => Ok(Turn::Said(Err(error))),
            Said::Result(result) => Ok(Turn::Said(Ok(result))),
            Said::Garbage => Err(refusal(Code::OdooError, "Odoo's answer could not be read.").into()),
        }
    }

    async fn post_json2<T: DeserializeOwned>(
        &self,
        request: &Request<'_>,
        names: &[String],
        pass: &Pass,
        deadline: Instant,
    ) -> Result<Said<T>, Failure> {
        let url = under(&self.urls.base, &format!("/json/2/{}/{}", request.model, request.method));
        let answer = self.post(&url, dialect::json2(request, names)?, self.with_key()?, request, pass, deadline).await?;
        let said = dialect::read_json2(answer.status, &answer.body);
        match &said {
            Said::Error(_) if answer.status == 401 => {
                return Err(self.refused("Odoo refused the API key: it is wrong, expired or revoked.").await);
            }
            Said::Garbage => return Err(self.garbage(&answer, request)),
            _ => {}
        }
        Ok(said)
    }

    async fn documented_names(&self, request: &Request<'_>, pass: &Pass, deadline: Instant) -> Result<Vec<String>, Failure> {
        let page: DocumentationPage = self
            .documentation(request.model, pass, deadline)
            .await
            .map_err(|_| dialect::unnamed(request.model, request.method))?;
        let names: Vec<String> = page
            .methods
            .get(request.method)
            .map(|m| m.parameters.keys().filter(|n| *n != "self").cloned().collect())
            .unwrap_or_default();
        if names.len() < request.args.len() {
            return Err(dialect::unnamed(request.model, request.method).into());
        }
        Ok(names)
    }

    // ---- signing in

    /// The cookie, signing in where there is none; nothing when the server has no such route.
    async fn sign_in(&self, pass: &Pass, deadline: Instant) -> Result<Option<HeaderValue>, Failure> {
        let _one =
            tokio::time::timeout_at(deadline, self.login.lock()).await.map_err(|_| late("waiting for the login to Odoo"))?;
        self.alive()?;
        if let Some(cookie) = self.cookie.read().clone() {
            return Ok(Some(cookie));
        }
        let body = || dialect::sign_in(&self.instance.database, &self.credential.login, self.credential.secret.expose_secret());
        let mut clashes = 0;
        let (answer, info): (_, SessionInfo) = loop {
            let mut answer = self.exchange(&self.urls.sign_in, body()?, Headers::default(), pass, deadline).await?;
            // 14 and 15 tell nothing without a database: neither a wrong password nor a clash of two logins. And a process that has
            // not heard yet that a module was removed looks for columns that are gone, until a request for the database reaches it.
            if (answer.status == 500 || is_database_error(&answer))
                && let Some(bound) = self.bind(pass, deadline).await?
            {
                answer = self
                    .exchange(&self.urls.sign_in, body()?, Headers { cookie: Some(&bound), ..Headers::default() }, pass, deadline)
                    .await?;
                answer.session = answer.session.or(Some(bound));
            }
            if answer.status == 404 {
                self.switch(Dialect::JsonRpc);
                return Ok(None);
            }
            match dialect::read_rpc(&answer.body) {
                Said::Result(info) => break (answer, info),
                // A login notes its time on the user: two processes that sign in at once clash, and one has to come again.
                Said::Error(error) if error.kind == Kind::Concurrency && clashes < 4 => {
                    clashes += 1;
                    tokio::time::sleep(Duration::from_millis(100 * clashes)).await;
                }
                Said::Error(error) if error.kind == Kind::NotFound => {
                    self.switch(Dialect::JsonRpc);
                    return Ok(None);
                }
                Said::Error(error) => return Err(self.login_failed(&error).await),
                Said::Garbage => return Err(self.unreadable(&answer).into()),
            }
        };
        let Some(uid) = info.uid.as_i64().filter(|uid| *uid > 0) else {
            // Not marked as refused: the password is right, it just does not do.
            return Err(self.die(
                refusal(Code::NotConfigured, format!("The Odoo user {} signs in with a second factor, which ocore cannot give.", self.credential.login))
                    .next("An administrator makes an Odoo API key for that user (Preferences, Account Security) and stores it as the credential's secret."),
            ));
        };
        let Some(cookie) = answer.session else {
            return Err(refusal(Code::OdooError, "Odoo accepted the login but set no session.")
                .next("A proxy in front of Odoo may strip cookies; the operator checks it.")
                .into());
        };
        self.uid.store(uid, Ordering::Release);
        if let Some(version) = info.version {
            let _ = self.version.set(version);
        }
        *self.cookie.write() = Some(cookie.clone());
        Ok(Some(cookie))
    }

    /// The user's id by `common.authenticate`; none when the server has no such route.
    async fn authenticate(&self, pass: &Pass, deadline: Instant) -> Result<Option<i64>, Failure> {
        let _one =
            tokio::time::timeout_at(deadline, self.login.lock()).await.map_err(|_| late("waiting for the login to Odoo"))?;
        self.alive()?;
        let known = self.uid.load(Ordering::Acquire);
        if known > 0 {
            return Ok(Some(known));
        }
        if self.version_within(deadline, pass).await.ok().and_then(VersionInfo::version).is_some_and(dialect::needs_bound_session)
        {
            *self.bound.write() = self.bind(pass, deadline).await?;
        }
        let body = dialect::common_authenticate(
            &self.instance.database,
            &self.credential.login,
            self.credential.secret.expose_secret(),
        )?;
        let mut answer = self.exchange(&self.urls.jsonrpc, body.clone(), self.with_database(), pass, deadline).await?;
        // As in [`Client::sign_in`].
        if is_database_error(&answer)
            && let Some(bound) = self.bind(pass, deadline).await?
        {
            let headers = Headers { cookie: Some(&bound), ..self.with_database() };
            answer = self.exchange(&self.urls.jsonrpc, body, headers, pass, deadline).await?;
        }
        if answer.status == 404 {
            self.without_jsonrpc(pass, deadline).await?;
            return Ok(None);
        }
        match dialect::read_rpc::<Value>(&answer.body) {
            Said::Result(uid) => match uid.as_i64().filter(|uid| *uid > 0) {
                Some(uid) => {
                    self.uid.store(uid, Ordering::Release);
                    Ok(Some(uid))
                }
                None => Err(self.refused("Odoo refused the login: the login, the password or the API key is wrong, or the user has a second factor and needs an API key.").await),
            },
            Said::Error(error) => Err(self.login_failed(&error).await),
            Said::Garbage => Err(self.unreadable(&answer).into()),
        }
    }

    /// A session without a user, bound to the database (14 to 19, `ensure_db`); none where the server does not give one.
    async fn bind(&self, pass: &Pass, deadline: Instant) -> Result<Option<HeaderValue>, Failure> {
        let mut url = under(&self.urls.base, "/web");
        url.query_pairs_mut().append_pair("db", &self.instance.database);
        let answer =
            Self::noted(self.http.get(&url, Headers::default(), deadline).await, pass).map_err(|e| Self::no_answer(e, None))?;
        Ok(answer.session)
    }

    async fn login_failed(&self, error: &OdooError) -> Failure {
        match error.kind {
            Kind::AccessDenied => {
                self.refused("Odoo refused the login: the login or the password is wrong, or the user is not active.").await
            }
            Kind::Database | Kind::Access | Kind::NotFound => {
                refusal(Code::OdooError, format!("Odoo could not open the database {}.", self.instance.database))
                    .next("An administrator checks the instance's database name, and that Odoo reaches its PostgreSQL.")
                    .into()
            }
            _ => Failure::Fault(error.refusal("res.users", "login").into()),
        }
    }

    /// Marks the credential: it is not used again until somebody changes it.
    async fn refused(&self, why: &'static str) -> Failure {
        self.credentials.refused(&self.instance, &self.rpc).await;
        self.die(
            refusal(Code::NotConfigured, why)
                .next("ocore does not try this credential again; an administrator stores a new secret for it."),
        )
    }
    fn die(&self, why: Refusal) -> Failure {
        *self.dead.write() = Some(why.clone());
        why.into()
    }
    fn alive(&self) -> Result<(), Refusal> {
        match &*self.dead.read() {
            None => Ok(()),
            Some(why) => Err(why.clone()),
        }
    }

    /// Odoo changes a session's id now and then (19: every three hours) and tells it with any answer.
    fn keep(&self, new: Option<HeaderValue>, used: &HeaderValue) {
        if let Some(new) = new
            && new != *used
        {
            *self.cookie.write() = Some(new);
        }
    }
    fn forget(&self, used: &HeaderValue) {
        let mut cookie = self.cookie.write();
        if cookie.as_ref() == Some(used) {
            *cookie = None;
        }
    }

    // ---- the dialect

    async fn dialect(&self, deadline: Instant, pass: &Pass) -> Result<Dialect, Failure> {
        match self.dialect.load(Ordering::Acquire) {
            1 => return Ok(Dialect::Session),
            2 => return Ok(Dialect::JsonRpc),
            3 => return Ok(Dialect::Json2),
            _ => {}
        }
        let key = is_api_key(self.credential.secret.expose_secret());
        let chosen = match self.rpc.dialect {
            RpcDialect::Session if key => {
                return Err(refusal(Code::NotConfigured, "An Odoo API key cannot sign in to a session.")
                    .next("An administrator sets the credential's dialect to auto or jsonrpc, or stores the user's password.")
                    .into());
            }
            RpcDialect::Session => Dialect::Session,
            RpcDialect::JsonRpc => Dialect::JsonRpc,
            RpcDialect::Json2 => {
                let version = self.version_within(deadline, pass).await?;
                if version.version().is_some_and(|v| v.major < dialect::JSON2_FROM) {
                    return Err(refusal(Code::NotSupported, format!("JSON-2 exists from Odoo 19 on; this is {}.", version.full))
                        .next("An administrator sets the credential's dialect to auto.")
                        .into());
                }
                Dialect::Json2
            }
            RpcDialect::Auto if !key => Dialect::Session,
            RpcDialect::Auto => match self.version_within(deadline, pass).await?.version() {
                Some(v) if v.major >= dialect::JSONRPC_UNTIL => Dialect::Json2,
                _ => Dialect::JsonRpc,
            },
        };
        self.switch(chosen);
        Ok(chosen)
    }
    fn switch(&self, to: Dialect) {
        self.dialect.store(to as u8 + 1, Ordering::Release);
    }
    async fn without_jsonrpc(&self, pass: &Pass, deadline: Instant) -> Result<(), Failure> {
        let key = is_api_key(self.credential.secret.expose_secret());
        if key
            && self.rpc.dialect == RpcDialect::Auto
            && self.version_within(deadline, pass).await?.version().is_some_and(|v| v.major >= dialect::JSON2_FROM)
        {
            self.switch(Dialect::Json2);
            return Ok(());
        }
        Err(refusal(Code::NotSupported, "The instance has no route /jsonrpc: another path, a proxy that blocks it, or server_wide_modules without rpc.")
            .next("An administrator checks the URL; on Odoo 19 the module rpc must be in server_wide_modules. A password works by session instead (dialect auto).")
            .into())
    }
    /// How the client speaks now, for reports.
    pub(super) fn spoken(&self) -> Option<&'static str> {
        match self.dialect.load(Ordering::Acquire) {
            1 => Some("session"),
            2 => Some("jsonrpc"),
            3 => Some("json2"),
            _ => None,
        }
    }

    // ---- version, user, documentation

    pub(super) async fn version(&self, deadline: Instant) -> Result<&VersionInfo, Failure> {
        if let Some(known) = self.version.get() {
            return Ok(known);
        }
        let pass = self.gate.enter(self.concurrency.load(Ordering::Relaxed), deadline).await?;
        self.version_within(deadline, &pass).await
    }
    async fn version_within(&self, deadline: Instant, pass: &Pass) -> Result<&VersionInfo, Failure> {
        self.version.get_or_try_init(|| self.probe(pass, deadline)).await
    }
    /// Asks without authentication: `/web/webclient/version_info` (14 to 19), else `common.version`.
    async fn probe(&self, pass: &Pass, deadline: Instant) -> Result<VersionInfo, Failure> {
        let answer = self.exchange(&self.urls.version, dialect::no_parameters()?, Headers::default(), pass, deadline).await?;
        if let Said::Result(info) = dialect::read_rpc(&answer.body) {
            return Ok(info);
        }
        let answer = self.exchange(&self.urls.jsonrpc, dialect::common_version()?, Headers::default(), pass, deadline).await?;
        match dialect::read_rpc(&answer.body) {
            Said::Result(info) => Ok(info),
            _ => Err(self.unreadable(&answer).into()),
        }
    }
    pub(super) async fn odoo_version(&self, deadline: Instant) -> Result<OdooVersion, Failure> {
        let info = self.version(deadline).await?;
        info.version().ok_or_else(|| {
            refusal(Code::NotSupported, format!("Odoo calls its version {:?}, which ocore cannot read.", info.full)).into()
        })
    }
    /// The user's id, signing in if need be. For JSON-2 the key tells who it is.
    pub(super) async fn user(&self, deadline: Instant) -> Result<i64, Failure> {
        let context = dialect::Context::default();
        let request = Request {
            model: "res.users",
            method: "context_get",
            ids: None,
            args: &[],
            kwargs: &[],
            context: &context,
            write: false,
        };
        let told: Value = self.call(&request, deadline).await?;
        let known = self.uid.load(Ordering::Acquire);
        told.get("uid")
            .and_then(Value::as_i64)
            .or((known > 0).then_some(known))
            .ok_or_else(|| refusal(Code::OdooError, "Odoo did not tell who the credential is.").into())
    }

    /// A page of Odoo's own documentation (19): `index`, or a model's.
    pub(super) async fn document<T: DeserializeOwned>(&self, page: &str, deadline: Instant) -> Result<T, Failure> {
        self.alive()?;
        let pass = self.gate.enter(self.concurrency.load(Ordering::Relaxed), deadline).await?;
        self.documentation(page, &pass, deadline).await
    }
    async fn documentation<T: DeserializeOwned>(&self, page: &str, pass: &Pass, deadline: Instant) -> Result<T, Failure> {
        let key = is_api_key(self.credential.secret.expose_secret());
        for _ in 0..2 {
            let (url, cookie) = if key {
                (under(&self.urls.base, &format!("/doc-bearer/{page}.json")), None)
            } else {
                let known = self.cookie.read().clone();
                let cookie = match known {
                    Some(cookie) => Some(cookie),
                    None => self.sign_in(pass, deadline).await?,
                };
                (under(&self.urls.base, &format!("/doc/{page}.json")), cookie)
            };
            let headers = match &cookie {
                Some(cookie) => Headers { cookie: Some(cookie), ..Headers::default() },
                None => self.with_key()?,
            };
            let answer = Self::noted(self.http.get(&url, headers, deadline).await, pass).map_err(|e| Self::no_answer(e, None))?;
            match (answer.status, &cookie) {
                (200, _) => match dialect::read_json2(200, &answer.body) {
                    Said::Result(page) => return Ok(page),
                    _ => break,
                },
                (403 | 404, Some(cookie)) if dialect::session_is_gone(&answer.body) => self.forget(cookie),
                _ => break,
            }
        }
        Err(refusal(Code::NotSupported, "Odoo's documentation endpoint does not answer this credential.")
            .next("It exists from Odoo 19 on, for users of the group \"Allow to read the API documentation\" (Settings have it).")
            .into())
    }

    /// Whether the credential signs in to sessions.
    pub(super) async fn opens_sessions(&self, deadline: Instant) -> Result<bool, Failure> {
        self.alive()?;
        let pass = self.gate.enter(self.concurrency.load(Ordering::Relaxed), deadline).await?;
        Ok(self.dialect(deadline, &pass).await? == Dialect::Session)
    }
    /// Fetches a page of Odoo's web client by the session, or by one that is lent: reports have no other way. `path` comes in segments. `writes` is whether
    /// making the page may change something, which decides how a missing answer is told. Asked once, but for a session that has ended.
    pub(super) async fn page(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
        writes: bool,
        lent: Option<HeaderValue>,
        deadline: Instant,
    ) -> Result<Answer, Failure> {
        let no_session = || {
            refusal(Code::NotConfigured, "Odoo makes reports for signed-in users alone, and this instance's credential cannot sign in.")
                .next("An administrator stores the Odoo user's password as the credential's secret, instead of an API key (dialect auto or session); or the operator names the instance's container, in which Odoo opens a session without one.")
        };
        self.alive()?;
        let pass = self.gate.enter(self.concurrency.load(Ordering::Relaxed), deadline).await?;
        if lent.is_none() && self.dialect(deadline, &pass).await? != Dialect::Session {
            return Err(no_session().into());
        }
        let mut url = under(&self.urls.base, "/");
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url.query_pairs_mut().extend_pairs(query);
        // A second turn finds a session of its own, or one that another call has just made.
        for _ in 0..3 {
            let known = self.cookie.read().clone();
            let (cookie, fresh) = match (&lent, known) {
                (Some(lent), _) => (lent.clone(), true),
                (None, Some(cookie)) => (cookie, false),
                (None, None) => (self.sign_in(&pass, deadline).await?.ok_or_else(no_session)?, true),
            };
            let headers = Headers { cookie: Some(&cookie), ..Headers::default() };
            let answer = Self::noted(self.http.get(&url, headers, deadline).await, &pass).map_err(|e| match e {
                NoAnswer::Broken { .. } | NoAnswer::Late { .. } | NoAnswer::TooLarge { .. } if writes => Failure::Fault(
                    Fault::unknown("Odoo did not answer; it may still be working.", "Look for what it was to make."),
                ),
                other => Self::no_answer(other, None),
            })?;
            // Without a valid session Odoo leads to its login page, or knows no such route where it serves several databases.
            if matches!(answer.status, 300..=399 | 404) && !fresh {
                self.forget(&cookie);
                continue;
            }
            if matches!(answer.status, 300..=399 | 502..=504) {
                return Err(self.unreadable(&answer).into());
            }
            self.keep(answer.session.clone(), &cookie);
            return Ok(answer);
        }
        Err(refusal(Code::OdooError, "Odoo ended every new session at once.")
            .next("Look at odoo_logs; an administrator checks the instance's credential.")
            .into())
    }

    // ---- HTTP

    fn with_database(&self) -> Headers<'_> {
        Headers { database: Some(&self.database), ..Headers::default() }
    }
    fn with_key(&self) -> Result<Headers<'_>, Failure> {
        match &self.bearer {
            Some(bearer) => Ok(Headers { bearer: Some(bearer), database: Some(&self.database), cookie: None }),
            None => Err(refusal(Code::NotConfigured, "The credential's secret is no Odoo API key.")
                .next("JSON-2 takes API keys only; an administrator stores one.")
                .into()),
        }
    }
    async fn post(
        &self,
        url: &Url,
        body: Vec<u8>,
        headers: Headers<'_>,
        request: &Request<'_>,
        pass: &Pass,
        deadline: Instant,
    ) -> Result<Answer, Failure> {
        Self::noted(self.http.post(url, body, headers, request.write, deadline).await, pass)
            .map_err(|e| Self::no_answer(e, Some(request)))
    }
    /// For what changes nothing: logins and probes.
    async fn exchange(
        &self,
        url: &Url,
        body: Vec<u8>,
        headers: Headers<'_>,
        pass: &Pass,
        deadline: Instant,
    ) -> Result<Answer, Failure> {
        Self::noted(self.http.post(url, body, headers, false, deadline).await, pass).map_err(|e| Self::no_answer(e, None))
    }
    /// Tells the breaker.
    fn noted(outcome: Result<Answer, NoAnswer>, pass: &Pass) -> Result<Answer, NoAnswer> {
        match &outcome {
            // Proxies answer so when Odoo does not.
            Ok(answer) if matches!(answer.status, 502..=504) => pass.failed(),
            Ok(_) => pass.worked(),
            Err(NoAnswer::Connect(_) | NoAnswer::Broken { .. }) => pass.failed(),
            Err(NoAnswer::Late { waited, .. }) if *waited >= TELLING => pass.failed(),
            Err(NoAnswer::Late { .. } | NoAnswer::TooLarge { .. } | NoAnswer::Client(_)) => {}
        }
        outcome
    }
    fn no_answer(why: NoAnswer, request: Option<&Request<'_>>) -> Failure {
        let write = request.filter(|r| r.write);
        match (why, write) {
            (NoAnswer::Client(what), _) => Failure::Fault(Fault::failed(format!("the HTTP client: {what}"))),
            (NoAnswer::Connect(why), _) => Failure::Fault(why.into()),
            (NoAnswer::Broken { sent: true } | NoAnswer::TooLarge { .. }, Some(write)) => {
                unknown(write, "The connection to Odoo broke after the request was sent.").into()
            }
            (NoAnswer::Late { sent: true, .. }, Some(write)) => {
                unknown(write, "Odoo did not answer before the deadline; it may still be working.").into()
            }
            (NoAnswer::Broken { .. }, _) => Failure::Again(
                refusal(Code::Unreachable, "The connection to Odoo broke before it answered.")
                    .next("Try again; if it stays so, Odoo may be restarting or out of memory (odoo_logs).")
                    .into(),
            ),
            (NoAnswer::Late { .. }, _) => late("waiting for Odoo").into(),
            (NoAnswer::TooLarge { limit }, _) => {
                refusal(Code::TooLarge, format!("Odoo's answer is larger than {} MiB.", limit / (1024 * 1024)))
                    .next("Ask for fewer records or fields; leave out binary fields.")
                    .into()
            }
        }
    }
    fn garbage(&self, answer: &Answer, request: &Request<'_>) -> Failure {
        // Something in between answered, or Odoo answered nonsense: a write may have happened all the same.
        if request.write && !matches!(answer.status, 300..=499) {
            return unknown(request, "Odoo's answer to the write could not be read.").into();
        }
        self.unreadable(answer).into()
    }
    fn unreadable(&self, answer: &Answer) -> Refusal {
        match answer.status {
            300..=399 => refusal(Code::Unreachable, "The instance's URL answers with a redirect, which ocore does not follow.")
                .next("An administrator stores the URL that it leads to (https, or the host's full name)."),
            502..=504 => refusal(
                Code::Unreachable,
                format!("A proxy answers for the instance (status {}): Odoo itself does not.", answer.status),
            )
            .next("Check that Odoo runs; then try again."),
            413 => refusal(Code::TooLarge, "A proxy in front of Odoo refuses a request of this size.").next("Send less at once."),
            429 => refusal(Code::Busy, "A proxy in front of Odoo asks for fewer requests.").next("Try again in a moment."),
            status @ (401 | 403) => {
                refusal(Code::Unreachable, format!("What stands in front of Odoo refuses ocore's requests (status {status})."))
                    .next("The operator lets ocore's address through.")
            }
            500 => refusal(Code::OdooError, "Odoo failed without saying why (status 500).").next(format!(
                "Look at odoo_logs. At a login it mostly means that there is no database {}.",
                self.instance.database
            )),
            status => refusal(
                Code::OdooError,
                format!("What answers at the instance's URL does not speak Odoo's protocol (status {status})."),
            )
            .next("An administrator checks the URL: it is Odoo's own, without a path."),
        }
    }
}

/// What one turn gave: an answer, or a changed state to try again with.
enum Turn<T> {
    Said(std::result::Result<T, OdooError>),
    Again,
}

fn is_database_error(answer: &Answer) -> bool {
    matches!(dialect::read_rpc::<serde::de::IgnoredAny>(&answer.body), Said::Error(error) if error.kind == Kind::Database)
}

fn late(what: &str) -> Fault {
    refusal(Code::Timeout, format!("The deadline passed while {what}."))
        .next("Ask for less, or raise timeout_seconds (at most 120).")
        .into()
}
fn unknown(request: &Request<'_>, what: &str) -> Fault {
    let check = match (request.method, request.ids) {
        ("create" | "copy", _) => {
            format!("Do not repeat it blindly: search {} for the newest records (order \"id desc\") first.", request.model)
        }
        (_, Some(ids)) if !ids.is_empty() => {
            let ids = ids.iter().take(20).map(i64::to_string).collect::<Vec<_>>().join(", ");
            format!("Do not repeat it blindly: read {} {ids} (fields write_date and those concerned) and compare.", request.model)
        }
        _ => {
            format!("Do not repeat it blindly: look at the records of {} that {} concerns first.", request.model, request.method)
        }
    };
    Fault::unknown(what.to_owned(), check)
}

/// An Odoo API key is forty lower-case hexadecimal digits (14 to 19).
fn is_api_key(secret: &str) -> bool {
    secret.len() == 40 && secret.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

fn under(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    url.set_query(None);
    url.set_fragment(None);
    let whole = format!("{}{path}", base.path().trim_end_matches('/'));
    url.set_path(&whole);
    url
}
