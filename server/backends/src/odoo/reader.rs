//! The reading handle: every verb checks the scope, asks Odoo once, and tells what went wrong in words that help.
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    fmt,
    sync::Arc,
};

use futures_util::future::BoxFuture;
use kernel::{Code, Fault, Instance, OdooVersion, Refusal, SecretString, refusal};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{
    Map, Value,
    value::{RawValue, to_raw_value},
};
use tokio::{
    sync::{OnceCell, OwnedSemaphorePermit},
    time::Instant,
};

use super::{
    ModelFields, OdooContext, Pool, Record, Result, Rows, Search, ServerVersion,
    client::Client,
    dialect::{self, Arg, Context, Request},
    error::{Failure, Kind, OdooError, scrub},
    schema::{self, Model, Names, Schema, Schemas, nearest},
};
use crate::Scope;

/// How many records a search gives when its limit is 0.
const DEFAULT_LIMIT: u64 = 80;
/// Ids in one request for names.
const NAMES_AT_ONCE: usize = 1_000;
/// Requests that looking for the fields that Odoo refuses may take.
const BISECTIONS: u32 = 24;

/// Reads one instance as one credential, within one scope, until one deadline. Cheap to clone; connects when first used.
#[derive(Clone)]
pub struct Reader(pub(super) Arc<Inner>);
pub(super) struct Inner {
    pool: Pool,
    instance: Arc<Instance>,
    scope: Arc<Scope>,
    context: OdooContext,
    sent: Context,
    deadline: Instant,
    client: OnceCell<Arc<Client>>,
    /// The cookie of a session that was made for this call, where the credential opens none.
    pub(super) lent: parking_lot::RwLock<Option<reqwest::header::HeaderValue>>,
}
impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader")
            .field("instance", &self.0.instance.slug)
            .field("context", &self.0.context)
            .finish_non_exhaustive()
    }
}

/// A call that is cut off leaves no session in Odoo that was made for it.
impl Drop for Inner {
    fn drop(&mut self) {
        let lent = self.lent.get_mut().take();
        let session = lent.as_ref().and_then(|cookie| cookie.to_str().ok()).map(|text| SecretString::from(text.to_owned()));
        if let (Some(session), Ok(runtime)) = (session, tokio::runtime::Handle::try_current()) {
            let (pages, instance) = (self.pages(), Arc::clone(&self.instance));
            runtime.spawn(async move { pages.sign_out(&instance, &session).await });
        }
    }
}
impl Inner {
    /// Held while Odoo makes a PDF.
    pub(super) async fn printer(&self) -> Result<OwnedSemaphorePermit> {
        self.pool.printer(&self.instance, self.deadline).await
    }
    pub(super) fn pages(&self) -> super::pages::Pages {
        self.pool.pages()
    }
}
impl Reader {
    pub(super) fn new(
        pool: Pool,
        instance: Arc<Instance>,
        scope: Arc<Scope>,
        context: OdooContext,
        sent: Context,
        deadline: Instant,
    ) -> Self {
        Self(Arc::new(Inner {
            pool,
            instance,
            scope,
            context,
            sent,
            deadline,
            client: OnceCell::new(),
            lent: parking_lot::RwLock::default(),
        }))
    }
    pub fn instance(&self) -> &Arc<Instance> {
        &self.0.instance
    }
    pub fn scope(&self) -> &Scope {
        &self.0.scope
    }
    pub fn context(&self) -> &OdooContext {
        &self.0.context
    }
    /// When the call must have ended.
    pub fn deadline(&self) -> Instant {
        self.0.deadline
    }
    pub(super) fn sent(&self) -> &Context {
        &self.0.sent
    }

    // ---- the way down

    pub(super) async fn client(&self) -> Result<&Arc<Client>> {
        self.0.client.get_or_try_init(|| self.0.pool.client(&self.0.instance)).await
    }
    pub(super) async fn client_id(&self) -> Result<u64> {
        Ok(self.client().await?.id)
    }
    pub(super) fn schemas(&self) -> &Schemas {
        self.0.pool.schemas()
    }
    /// Sends a request whose scope was checked, but for hidden fields and records: where there are any, this refuses.
    pub(super) async fn send<T: DeserializeOwned>(&self, request: &Request<'_>) -> Result<T, Failure> {
        self.send_until(request, self.0.deadline).await
    }
    /// The same with a deadline of its own.
    pub(super) async fn send_until<T: DeserializeOwned>(&self, request: &Request<'_>, until: Instant) -> Result<T, Failure> {
        self.scope().unguarded(request.model, request.method)?;
        let answer = self.client().await?.call(request, until).await;
        self.without_words(answer)
    }
    /// Sends a request that keeps to hidden fields and records: every field that it names was looked up in [`Reader::schema`], its
    /// domain is [`Reader::kept`] or its ids are [`Reader::visible`], and what comes back loses the names that may not be read.
    pub(super) async fn send_kept<T: DeserializeOwned>(&self, request: &Request<'_>) -> Result<T, Failure> {
        if self.scope().filtered(request.model) {
            self.holds_still(request.model).await?;
        }
        let answer = self.client().await?.call(request, self.0.deadline).await;
        self.without_words(answer)
    }
    fn without_words<T>(&self, answer: Result<T, Failure>) -> Result<T, Failure> {
        match answer {
            Err(Failure::Odoo(error)) if self.scope().hiding().is_some() => Err(Failure::Odoo(error.withheld())),
            other => other,
        }
    }
    /// The same, with Odoo's error put into words.
    pub(super) async fn send_or_tell<T: DeserializeOwned>(&self, request: &Request<'_>) -> Result<T> {
        match self.send(request).await {
            Ok(answer) => Ok(answer),
            Err(failure) => Err(self.tell(failure, request.model, request.method).await),
        }
    }
    pub(super) async fn tell(&self, failure: Failure, model: &str, method: &str) -> Fault {
        match failure {
            Failure::Fault(fault) | Failure::Again(fault) => fault,
            Failure::Odoo(error) if error.kind == Kind::NotFound => {
                self.unknown_model(model).await.unwrap_or_else(|| error.refusal(model, method)).into()
            }
            Failure::Odoo(error) => error.refusal(model, method).into(),
        }
    }
    /// When Odoo does not know the model: the refusal with the nearest names, as far as they can be found out.
    pub(super) async fn unknown_model(&self, model: &str) -> Option<Refusal> {
        let models = Box::pin(self.all_models()).await.ok();
        if models.as_ref().is_some_and(|all| all.iter().any(|m| m.model == model)) {
            return None;
        }
        let near = models.as_ref().map(|all| nearest(model, all.iter().map(|m| m.model.as_str()))).unwrap_or_default();
        let next = if near.is_empty() {
            "list_models names the models.".to_owned()
        } else {
            format!("Did you mean {}? list_models names all.", near.join(", "))
        };
        Some(refusal(Code::NotFound, format!("Odoo has no model {model} here.")).next(next))
    }

    // ---- the server

    /// Odoo's series, asked once per client.
    pub async fn version(&self) -> Result<OdooVersion> {
        let found = self.client().await?.odoo_version(self.0.deadline).await;
        match found {
            Ok(version) => Ok(version),
            Err(failure) => Err(self.tell(failure, "ir.module.module", "version").await),
        }
    }
    pub async fn server_version(&self) -> Result<ServerVersion> {
        match self.client().await?.version(self.0.deadline).await {
            Ok(info) => Ok(ServerVersion { server_version: info.full.clone(), server_serie: info.serie() }),
            Err(failure) => Err(self.tell(failure, "ir.module.module", "version").await),
        }
    }
    /// The Odoo user that the credential is.
    pub async fn user_id(&self) -> Result<i64> {
        match self.client().await?.user(self.0.deadline).await {
            Ok(uid) => Ok(uid),
            Err(failure) => Err(self.tell(failure, "res.users", "context_get").await),
        }
    }

    // ---- models and fields

    /// The fields of a model, cached five minutes per instance, generation, credential and language.
    pub async fn fields(&self, model: &str) -> Result<Arc<ModelFields>> {
        Ok(Arc::clone(&self.schema(model).await?.fields))
    }
    pub(super) async fn schema(&self, model: &str) -> Result<Arc<Schema>> {
        self.scope().readable(model)?;
        let plain = self.schema_unscoped(model).await?;
        match self.scope().hiding() {
            None => Ok(plain),
            // Boxed: rare, and it looks up the fields of other models.
            Some(rules) => Box::pin(self.governed(model, plain, rules)).await,
        }
    }
    /// For what the caller does not get to see.
    pub(super) async fn schema_unscoped(&self, model: &str) -> Result<Arc<Schema>> {
        match self.fetch_schema(model).await {
            Ok(schema) => Ok(schema),
            Err(Failure::Odoo(error)) if matches!(error.kind, Kind::NotFound | Kind::Value) => {
                let told = self.unknown_model(model).await;
                Err(told.unwrap_or_else(|| error.refusal(model, "fields_get")).into())
            }
            Err(failure) => Err(self.tell(failure, model, "fields_get").await),
        }
    }
    async fn fetch_schema(&self, model: &str) -> Result<Arc<Schema>, Failure> {
        let client = self.client().await?;
        let key = (client.id, self.sent().lang.clone(), model.to_owned());
        let cache = self.0.pool.schemas().fields();
        if let Some(known) = cache.get(&key).await {
            return Ok(known);
        }
        let args = [Arg::Value(&Value::Null), Arg::Words(&schema::ATTRIBUTES)];
        let context = Context { lang: self.sent().lang.clone(), ..Context::default() };
        let request =
            Request { model, method: "fields_get", ids: None, args: &args, kwargs: &[], context: &context, write: false };
        let told: Map<String, Value> = self.send(&request).await?;
        let schema = Arc::new(Schema::new(model, told));
        cache.insert(key, Arc::clone(&schema)).await;
        Ok(schema)
    }
    /// The most useful fields, at most 15: never binary, html, or computed and not stored.
    pub async fn smart_fields(&self, model: &str) -> Result<Vec<String>> {
        Ok(schema::smart(&self.schema(model).await?.fields))
    }
    /// Checks that the fields exist and may be read; unknown ones are refused with the nearest names.
    pub async fn check_fields(&self, model: &str, fields: &[String]) -> Result<()> {
        let schema = self.schema(model).await?;
        for field in fields {
            kernel::name::identifier("fields", field)?;
            if field == "id" {
                continue;
            }
            if field.contains('.') {
                self.walk(model, field).await?;
            } else if !(schema.is_credential(field) && self.scope().lifted(model)) {
                schema.field(model, field)?;
            }
        }
        Ok(())
    }

    /// All models that are no wizards, those of the scope only, by name; `search` looks in names and labels, `state` is base or manual.
    pub async fn models(&self, search: Option<&str>, state: Option<&str>) -> Result<Vec<Model>> {
        let all = self.all_models().await?;
        let needle = search.map(str::to_lowercase);
        Ok(all
            .iter()
            .filter(|m| self.scope().lists(&m.model))
            .filter(|m| needle.as_deref().is_none_or(|n| m.model.contains(n) || m.name.to_lowercase().contains(n)))
            .filter(|m| state.is_none_or(|s| m.state.as_deref().is_none_or(|is| is == s)))
            .cloned()
            .collect())
    }
    /// By ir.model where the credential may read it, else from Odoo's documentation (19), else a refusal that names the group.
    async fn all_models(&self) -> Result<Arc<Vec<Model>>> {
        #[derive(Deserialize)]
        struct Row {
            model: String,
            #[serde(default)]
            name: Value,
            #[serde(default)]
            state: Value,
            #[serde(default)]
            modules: Value,
        }
        let client = self.client().await?;
        let key = (client.id, self.sent().lang.clone());
        let cache = self.0.pool.schemas().models();
        if let Some(known) = cache.get(&key).await {
            return Ok(known);
        }
        let context = Context { lang: self.sent().lang.clone(), ..Context::default() };
        let domain = serde_json::json!([["transient", "=", false]]);
        let args = [Arg::Value(&domain)];
        let ask = async |fields: &[&str]| {
            let kwargs = [("fields", Arg::Words(fields)), ("order", Arg::Text("model"))];
            let request = Request {
                model: "ir.model",
                method: "search_read",
                ids: None,
                args: &args,
                kwargs: &kwargs,
                context: &context,
                write: false,
            };
            self.send::<Vec<Row>>(&request).await
        };
        let text = |v: &Value| v.as_str().map(str::to_owned);
        let mut rows = ask(&["model", "name", "state", "modules"]).await;
        // Every employee reads ir.model in 14, but the modules' names want rights of their own.
        if matches!(&rows, Err(Failure::Odoo(error)) if matches!(error.kind, Kind::Access | Kind::AccessDenied)) {
            rows = ask(&["model", "name", "state"]).await;
        }
        let models: Vec<Model> = match rows {
            Ok(rows) => rows
                .into_iter()
                .map(|row| Model {
                    name: text(&row.name).unwrap_or_default(),
                    state: text(&row.state),
                    modules: text(&row.modules)
                        .map(|m| m.split(',').map(|m| m.trim().to_owned()).filter(|m| !m.is_empty()).collect())
                        .unwrap_or_default(),
                    model: row.model,
                })
                .collect(),
            Err(Failure::Odoo(error)) if matches!(error.kind, Kind::Access | Kind::AccessDenied) => {
                self.documented_models(client).await?
            }
            Err(Failure::Odoo(error)) => return Err(error.refusal("ir.model", "search_read").into()),
            Err(Failure::Fault(fault) | Failure::Again(fault)) => return Err(fault),
        };
        let models = Arc::new(models);
        cache.insert(key, Arc::clone(&models)).await;
        Ok(models)
    }
    /// The models that keep records (no wizards); none where this credential may not ask.
    pub(super) async fn kept_models(&self) -> Result<Option<Arc<Vec<Model>>>> {
        match self.all_models().await {
            // The documentation tells of wizards too.
            Ok(models) if models.iter().any(|m| m.state.is_some()) => Ok(Some(models)),
            Ok(_) => Ok(None),
            Err(fault) if matches!(fault.code(), Code::NotSupported | Code::OdooError) => Ok(None),
            Err(fault) => Err(fault),
        }
    }
    async fn documented_models(&self, client: &Client) -> Result<Vec<Model>> {
        let group = || {
            refusal(Code::NotSupported, "Odoo does not let this credential list the models.")
                .next("An administrator of Odoo gives its user the group Administration / Access Rights (base.group_erp_manager). Models whose names you know can be used all the same.")
        };
        let version = self.version().await?;
        if !dialect::has_documentation(version) {
            return Err(group().into());
        }
        match client.document::<dialect::DocumentationIndex>("index", self.0.deadline).await {
            Ok(index) => {
                let mut models: Vec<Model> = index
                    .models
                    .into_iter()
                    .map(|m| Model { model: m.model, name: m.name, state: None, modules: Vec::new() })
                    .collect();
                models.sort_by(|a, b| a.model.cmp(&b.model));
                Ok(models)
            }
            Err(Failure::Fault(fault)) if fault.code() != Code::NotSupported => Err(fault),
            Err(_) => Err(group().into()),
        }
    }
    /// A model's page of Odoo's own documentation, as Odoo writes it: methods with signature, parameters and docstring. From
    /// 19 on, where the credential's user may read it; `not_supported` otherwise.
    pub async fn documentation(&self, model: &str) -> Result<Box<RawValue>> {
        self.scope().readable(model)?;
        let version = self.version().await?;
        if !dialect::has_documentation(version) {
            return Err(refusal(Code::NotSupported, format!("Odoo {version} has no documentation endpoint."))
                .next("It exists from Odoo 19 on.")
                .into());
        }
        match self.client().await?.document(model, self.0.deadline).await {
            Ok(page) => Ok(page),
            Err(failure) => Err(self.tell(failure, model, "documentation").await),
        }
    }
    /// How many modules are installed; none where the credential may not know.
    pub async fn installed_modules(&self) -> Result<Option<u64>> {
        let domain = serde_json::json!([["state", "=", "installed"]]);
        let args = [Arg::Value(&domain)];
        let context = Context::default();
        let request = Request {
            model: "ir.module.module",
            method: "search_count",
            ids: None,
            args: &args,
            kwargs: &[],
            context: &context,
            write: false,
        };
        match self.send(&request).await {
            Ok(count) => Ok(Some(count)),
            Err(Failure::Odoo(error)) if matches!(error.kind, Kind::Access | Kind::AccessDenied) => Ok(None),
            Err(failure) => Err(self.tell(failure, "ir.module.module", "search_count").await),
        }
    }

    // ---- searching

    /// The limit within the caps; 0 means the default. More than `max_search_limit` is refused.
    pub(super) fn capped(&self, limit: u64) -> Result<u64, Refusal> {
        let (most, cap) = (self.scope().max_search_limit, self.scope().max_records);
        if limit > most {
            return Err(refusal(
                Code::InvalidArgument,
                format!("limit: {limit} is more than the {most} that a search may give."),
            )
            .next("Use offset to page through the rest, or aggregation to sum it up."));
        }
        Ok(if limit == 0 { DEFAULT_LIMIT } else { limit }.min(cap).max(1))
    }

    pub async fn search_read(&self, search: &Search) -> Result<Rows> {
        let model = search.model.as_str();
        self.scope().readable(model)?;
        let limit = self.capped(search.limit)?;
        self.check_domain(model, &search.domain, false).await?;
        let (fields, schema) = self.reading(model, &search.fields).await?;
        let order = self.unique_order(model, search.order.as_deref()).await?;
        let asked = asked(&fields);
        let domain = self.kept(model, &search.domain);
        let (args, kwargs) = search_arguments(&domain, Some(asked), search.offset, limit, order.as_deref());
        let request =
            Request { model, method: "search_read", ids: None, args: &args, kwargs: &kwargs, context: self.sent(), write: false };
        match self.send_kept::<Vec<Record>>(&request).await {
            Ok(records) => self.rows(model, records, fields, BTreeMap::new(), schema.as_deref()).await,
            Err(Failure::Odoo(error)) => self.despite(error, search, fields, limit, order.as_deref()).await,
            Err(Failure::Fault(fault) | Failure::Again(fault)) => Err(fault),
        }
    }
    /// The order that was asked for, or the model's own, with `id` as a tiebreak: without one, pages overlap wherever records
    /// are alike. Odoo tells the model's own order to those who may read ir.model; others get it as it is.
    async fn unique_order(&self, model: &str, asked: Option<&str>) -> Result<Option<Arc<str>>> {
        if let Some(order) = asked.filter(|o| !o.trim().is_empty()) {
            return Ok(Some(self.check_order(model, order, false).await?.into()));
        }
        if self.scope().hiding().is_some() {
            return Ok(Some(Box::pin(self.own_order(model)).await?));
        }
        self.default_order(model).await
    }
    /// Where fields or records are hidden, the model's own order could go by them: it is used where the caller might ask for it.
    pub(super) async fn own_order(&self, model: &str) -> Result<Arc<str>> {
        if let Some(order) = self.default_order(model).await?
            && let Ok(order) = self.check_order(model, &order, true).await
        {
            return Ok(order.into());
        }
        Ok("id".into())
    }
    async fn default_order(&self, model: &str) -> Result<Option<Arc<str>>> {
        #[derive(Deserialize)]
        struct Row {
            #[serde(default)]
            order: Value,
        }
        let client = self.client().await?;
        let cache = self.0.pool.schemas().orders();
        let key = (client.id, model.to_owned());
        if let Some(known) = cache.get(&key).await {
            return Ok(known);
        }
        let domain = serde_json::json!([["model", "=", model]]);
        let args = [Arg::Value(&domain)];
        let kwargs = [("fields", Arg::Words(&["order"]))];
        let context = Context::default();
        let request = Request {
            model: "ir.model",
            method: "search_read",
            ids: None,
            args: &args,
            kwargs: &kwargs,
            context: &context,
            write: false,
        };
        let order = match self.send::<Vec<Row>>(&request).await {
            Ok(rows) => rows.first().and_then(|row| row.order.as_str()).and_then(with_tiebreak),
            Err(Failure::Odoo(_)) => None,
            Err(Failure::Fault(fault) | Failure::Again(fault)) => return Err(fault),
        };
        cache.insert(key, order.clone()).await;
        Ok(order)
    }
    /// Odoo refused a search: says what was wrong with it, or reads what can be read without the fields that Odoo refuses.
    async fn despite(
        &self,
        error: OdooError,
        search: &Search,
        fields: Vec<String>,
        limit: u64,
        order: Option<&str>,
    ) -> Result<Rows> {
        let model = search.model.as_str();
        if !matches!(error.kind, Kind::Access | Kind::Value | Kind::Other | Kind::Missing | Kind::User) {
            return Err(self.tell(Failure::Odoo(error), model, "search_read").await);
        }
        if error.kind == Kind::Value {
            self.explain(model, Some(&search.domain), search.order.as_deref(), &search.fields).await?;
        }
        if fields.len() < 2 {
            return Err(error.refusal(model, "search_read").into());
        }
        let domain = self.kept(model, &search.domain);
        let (args, kwargs) = search_arguments(&domain, None, search.offset, limit, order);
        let request =
            Request { model, method: "search", ids: None, args: &args, kwargs: &kwargs, context: self.sent(), write: false };
        let Ok(ids) = self.send_kept::<Vec<i64>>(&request).await else {
            return Err(error.refusal(model, "search_read").into());
        };
        self.read_what_can_be(model, &ids, fields, error).await
    }
    /// Looks every name up in the schema; the first that is wrong becomes the refusal.
    async fn explain(&self, model: &str, domain: Option<&Value>, order: Option<&str>, fields: &[String]) -> Result<()> {
        if let Some(domain) = domain {
            self.check_domain(model, domain, true).await?;
        }
        if let Some(order) = order {
            self.check_order(model, order, true).await?;
        }
        self.check_read_fields(model, fields, true).await?;
        Ok(())
    }

    /// The fields to read (smart ones when none are named), without `id`, each once.
    async fn reading(&self, model: &str, named: &[String]) -> Result<(Vec<String>, Option<Arc<Schema>>)> {
        if named.is_empty() {
            let schema = self.schema(model).await?;
            let mut fields = schema::smart(&schema.fields);
            if self.scope().restricted {
                fields.retain(|f| schema.fields.get(f).is_none_or(|f| f.r#type != "properties"));
            }
            return Ok((fields, Some(schema)));
        }
        let schema = self.check_read_fields(model, named, false).await?;
        let mut fields: Vec<String> = Vec::with_capacity(named.len());
        for field in named {
            if field != "id" && !fields.contains(field) {
                fields.push(field.clone());
            }
        }
        Ok((fields, schema))
    }

    /// `limit` bounds the counting (Odoo 16 and later; before, counting is whole).
    pub async fn search_count(&self, model: &str, domain: &Value, limit: Option<u64>) -> Result<u64> {
        self.scope().readable(model)?;
        self.check_domain(model, domain, false).await?;
        let limit = match limit {
            Some(limit) if dialect::counts_with_limit(self.version().await?) => Some(limit),
            _ => None,
        };
        let kept = self.kept(model, domain);
        let args = [Arg::Value(all_when_null(&kept))];
        let kwargs: Vec<(&str, Arg<'_>)> = limit.map(|l| ("limit", Arg::Number(l))).into_iter().collect();
        let request = Request {
            model,
            method: "search_count",
            ids: None,
            args: &args,
            kwargs: &kwargs,
            context: self.sent(),
            write: false,
        };
        match self.send_kept(&request).await {
            Ok(count) => Ok(count),
            Err(failure) => Err(self.explained(failure, model, "search_count", domain, None).await),
        }
    }
    /// The ids of a search, `limit` of them (0 means the default; not bound by `max_records`, for ids are small).
    pub async fn search_ids(
        &self,
        model: &str,
        domain: &Value,
        limit: u64,
        offset: u64,
        order: Option<&str>,
    ) -> Result<Vec<i64>> {
        self.scope().readable(model)?;
        self.check_domain(model, domain, false).await?;
        let asked = order;
        let order = self.unique_order(model, asked).await?;
        let limit = if limit == 0 { DEFAULT_LIMIT } else { limit };
        let kept = self.kept(model, domain);
        let (args, kwargs) = search_arguments(&kept, None, offset, limit, order.as_deref());
        let request =
            Request { model, method: "search", ids: None, args: &args, kwargs: &kwargs, context: self.sent(), write: false };
        match self.send_kept(&request).await {
            Ok(ids) => Ok(ids),
            Err(failure) => Err(self.explained(failure, model, "search", domain, asked).await),
        }
    }
    pub(super) async fn explained(
        &self,
        failure: Failure,
        model: &str,
        method: &str,
        domain: &Value,
        order: Option<&str>,
    ) -> Fault {
        if let Failure::Odoo(error) = &failure
            && error.kind == Kind::Value
            && let Err(fault) = self.explain(model, Some(domain), order, &[]).await
        {
            return fault;
        }
        self.tell(failure, model, method).await
    }

    // ---- reading

    /// Reads by id. Missing ids are left out (compare with [`Record::id`]). Empty `fields` means the smart ones.
    pub async fn read(&self, model: &str, ids: &[i64], fields: &[String]) -> Result<Rows> {
        self.scope().readable(model)?;
        let cap = self.scope().max_records;
        if ids.len() as u64 > cap {
            return Err(refusal(
                Code::TooLarge,
                format!("{} records are more than the {cap} that one call may read.", ids.len()),
            )
            .next("Split the list over several calls.")
            .into());
        }
        let (fields, schema) = self.reading(model, fields).await?;
        let seen;
        let ids = if self.scope().filtered(model) {
            seen = self.visible(model, ids).await?;
            &seen
        } else {
            ids
        };
        if ids.is_empty() {
            return Ok(Rows { fields, ..Rows::default() });
        }
        match self.read_once(model, ids, &fields).await {
            Ok(records) => self.rows(model, records, fields, BTreeMap::new(), schema.as_deref()).await,
            Err(Failure::Odoo(error)) if error.kind == Kind::Missing => {
                // 14 to 19 leave out what is gone, but a computed field may stumble over it.
                let existing: Vec<i64> = self.existing(model, ids).await?;
                if existing.len() == ids.len() {
                    return Err(error.refusal(model, "read").into());
                }
                match self.read_once(model, &existing, &fields).await {
                    Ok(records) => self.rows(model, records, fields, BTreeMap::new(), schema.as_deref()).await,
                    Err(failure) => Err(self.tell(failure, model, "read").await),
                }
            }
            Err(Failure::Odoo(error)) if matches!(error.kind, Kind::Access | Kind::Value | Kind::Other | Kind::User) => {
                if error.kind == Kind::Value {
                    self.explain(model, None, None, &fields).await?;
                }
                self.read_what_can_be(model, ids, fields, error).await
            }
            Err(failure) => Err(self.tell(failure, model, "read").await),
        }
    }
    async fn read_once(&self, model: &str, ids: &[i64], fields: &[String]) -> Result<Vec<Record>, Failure> {
        let args = [asked(fields)];
        let request =
            Request { model, method: "read", ids: Some(ids), args: &args, kwargs: &[], context: self.sent(), write: false };
        self.send_kept(&request).await
    }
    /// Reads without the fields that Odoo refuses. They are found by its words, or by halves; when it is the records that are
    /// refused and not a field, the first error stands.
    async fn read_what_can_be(&self, model: &str, ids: &[i64], fields: Vec<String>, error: OdooError) -> Result<Rows> {
        let said = |e: &OdooError| e.refusal(model, "read");
        let schema = self.schema(model).await?;
        // A field that the schema hides is hidden by Odoo's groups for this user.
        let mut skipped: BTreeMap<String, String> = BTreeMap::new();
        let (known, hidden): (Vec<String>, Vec<String>) = fields.iter().cloned().partition(|f| schema.fields.get(f).is_some());
        for field in hidden {
            skipped.insert(field, "Odoo hides it from this user.".to_owned());
        }
        if known.is_empty() {
            return Err(said(&error).into());
        }
        let probe = if schema.fields.get("write_date").is_some() { "write_date" } else { "id" };
        if self.read_once(model, ids, &[probe.to_owned()]).await.is_err() {
            return Err(said(&error).into());
        }
        let mut budget = BISECTIONS;
        let mut bad: Vec<(String, String)> = Vec::new();
        self.find_bad(model, ids, &known, &mut budget, &mut bad).await?;
        let reasons: HashMap<String, String> = bad.into_iter().collect();
        let kept: Vec<String> = known.into_iter().filter(|f| !reasons.contains_key(f)).collect();
        if kept.is_empty() {
            return Err(said(&error).into());
        }
        skipped.extend(reasons);
        match self.read_once(model, ids, &kept).await {
            Ok(records) => self.rows(model, records, kept, skipped, Some(&schema)).await,
            Err(_) => Err(said(&error).into()),
        }
    }
    fn find_bad<'a>(
        &'a self,
        model: &'a str,
        ids: &'a [i64],
        fields: &'a [String],
        budget: &'a mut u32,
        bad: &'a mut Vec<(String, String)>,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            if fields.is_empty() {
                return Ok(());
            }
            *budget = budget.saturating_sub(1);
            match self.read_once(model, ids, fields).await {
                Ok(_) => Ok(()),
                Err(Failure::Odoo(error)) => {
                    if let [field] = fields {
                        bad.push((field.clone(), first_sentence(&scrub(&error.message))));
                        return Ok(());
                    }
                    if *budget == 0 {
                        bad.extend(
                            fields
                                .iter()
                                .map(|f| (f.clone(), "Odoo refuses some of these fields; which was not found out.".to_owned())),
                        );
                        return Ok(());
                    }
                    let (left, right) = fields.split_at(fields.len() / 2);
                    self.find_bad(model, ids, left, budget, bad).await?;
                    self.find_bad(model, ids, right, budget, bad).await
                }
                Err(Failure::Fault(fault) | Failure::Again(fault)) => Err(fault),
            }
        })
    }

    /// The ids that exist and may be seen, archived ones too, in the order given.
    pub(super) async fn existing(&self, model: &str, ids: &[i64]) -> Result<Vec<i64>> {
        let domain = serde_json::json!([["id", "in", ids]]);
        let domain = self.kept(model, &domain);
        let context = Context { active_test: Some(false), ..self.sent().clone() };
        let args = [Arg::Value(&domain)];
        let request = Request { model, method: "search", ids: None, args: &args, kwargs: &[], context: &context, write: false };
        let found: Vec<i64> = match self.send_kept(&request).await {
            Ok(found) => found,
            Err(failure) => return Err(self.tell(failure, model, "search").await),
        };
        Ok(ids.iter().copied().filter(|id| found.contains(id)).collect())
    }

    /// The ids that exist (archived ones too) with their names; a name that cannot be read is `model,id`.
    pub async fn names(&self, model: &str, ids: &[i64]) -> Result<Vec<(i64, String)>> {
        #[derive(Deserialize)]
        struct Named {
            id: i64,
            #[serde(default)]
            display_name: Value,
        }
        self.scope().readable(model)?;
        let mut names: HashMap<i64, String> = HashMap::with_capacity(ids.len());
        let readable = self.readable_names(model).await;
        for chunk in ids.chunks(NAMES_AT_ONCE) {
            let mut domain = serde_json::json!([["id", "in", chunk]]);
            if readable != Names::All {
                for id in self.existing(model, chunk).await? {
                    names.insert(id, format!("{model},{id}"));
                }
            }
            match (&readable, &mut domain) {
                (Names::None, _) => continue,
                (Names::Of(those), Value::Array(terms)) => terms.extend(those.iter().cloned()),
                _ => {}
            }
            let context = Context { active_test: Some(false), ..self.sent().clone() };
            let args = [Arg::Value(&domain)];
            let kwargs = [("fields", Arg::Words(&["display_name"]))];
            let request = Request {
                model,
                method: "search_read",
                ids: None,
                args: &args,
                kwargs: &kwargs,
                context: &context,
                write: false,
            };
            match self.send_kept::<Vec<Named>>(&request).await {
                Ok(found) => {
                    for one in found {
                        let name = one
                            .display_name
                            .as_str()
                            .filter(|n| !n.is_empty())
                            .map_or_else(|| format!("{model},{}", one.id), str::to_owned);
                        names.insert(one.id, name);
                    }
                }
                // A name that cannot be computed must not hide the record.
                Err(Failure::Odoo(error)) if matches!(error.kind, Kind::Access | Kind::Value | Kind::Other | Kind::User) => {
                    for id in self.existing(model, chunk).await? {
                        names.insert(id, format!("{model},{id}"));
                    }
                }
                Err(failure) => return Err(self.tell(failure, model, "search_read").await),
            }
        }
        let mut named = Vec::with_capacity(names.len());
        for id in ids {
            if let Some(name) = names.remove(id) {
                named.push((*id, name));
            }
        }
        Ok(named)
    }

    // ---- answers

    async fn rows(
        &self,
        model: &str,
        records: Vec<Record>,
        fields: Vec<String>,
        skipped: BTreeMap<String, String>,
        schema: Option<&Schema>,
    ) -> Result<Rows> {
        let records = match schema {
            Some(schema) if self.scope().restricted => self.without_foreign_names(model, records, &fields, schema).await?,
            _ => records,
        };
        Ok(Rows { records, fields, skipped })
    }
    /// For a restricted key: `[id, name]` becomes the bare id where the name may not be read, and so does what else names a record.
    pub(super) async fn without_foreign_names(
        &self,
        model: &str,
        records: Vec<Record>,
        fields: &[String],
        schema: &Schema,
    ) -> Result<Vec<Record>> {
        let links = |f: &&String| schema.fields.get(f).filter(|f| f.r#type == "many2one").and_then(|f| f.relation.as_deref());
        let mut readable: BTreeMap<&str, Names> = BTreeMap::new();
        for comodel in fields.iter().filter_map(|f| links(&f)) {
            if !readable.contains_key(comodel) {
                readable.insert(comodel, self.readable_names(comodel).await);
            }
        }
        readable.retain(|_, names| *names != Names::All);
        // One's own name may be made of a hidden record's.
        let own = match &schema.names {
            Names::Of(domain) if fields.iter().any(|f| f == "display_name") => Some(domain),
            _ => None,
        };
        if readable.is_empty() && own.is_none() {
            return Ok(records);
        }
        let mut maps: Vec<Map<String, Value>> = records.iter().map(Record::parse).collect();
        let id_of = |value: &Value| value.as_array().and_then(|pair| pair.first()).and_then(Value::as_i64);
        for (comodel, names) in &readable {
            let shown: Vec<&String> = fields.iter().filter(|f| links(f) == Some(*comodel)).collect();
            let seen = match names {
                Names::Of(domain) => {
                    let named: BTreeSet<i64> =
                        maps.iter().flat_map(|map| shown.iter().filter_map(|f| id_of(map.get(*f)?))).collect();
                    let named: Vec<i64> = named.into_iter().collect();
                    if named.is_empty() { HashSet::new() } else { self.matching(comodel, &named, domain).await? }
                }
                _ => HashSet::new(),
            };
            for map in &mut maps {
                for field in &shown {
                    if let Some(value @ Value::Array(_)) = map.get_mut(*field) {
                        let id = id_of(value);
                        if id.is_none_or(|id| !seen.contains(&id)) {
                            *value = id.map_or(Value::Bool(false), Value::from);
                        }
                    }
                }
            }
        }
        if let Some(domain) = own {
            let ids: Vec<i64> = records.iter().map(Record::id).collect();
            let seen = if ids.is_empty() { HashSet::new() } else { self.matching(model, &ids, domain).await? };
            for map in &mut maps {
                let id = map.get("id").and_then(Value::as_i64).unwrap_or_default();
                if !seen.contains(&id) {
                    map.insert("display_name".to_owned(), format!("{model},{id}").into());
                }
            }
        }
        maps.iter().map(|map| to_raw_value(map).map(Record).map_err(|_| Fault::failed("serializing an answer of Odoo"))).collect()
    }
}

/// `[]` for null: Odoo takes no null for a domain.
pub(super) fn all_when_null(domain: &Value) -> &Value {
    const ALL: &Value = &Value::Array(Vec::new());
    if domain.is_array() { domain } else { ALL }
}
/// The fields as Odoo is asked for them: an empty list would mean all.
fn asked(fields: &[String]) -> Arg<'_> {
    if fields.is_empty() { Arg::Words(&["id"]) } else { Arg::Names(fields) }
}
type Arguments<'a> = ([Arg<'a>; 1], Vec<(&'a str, Arg<'a>)>);
fn search_arguments<'a>(
    domain: &'a Value,
    fields: Option<Arg<'a>>,
    offset: u64,
    limit: u64,
    order: Option<&'a str>,
) -> Arguments<'a> {
    let mut kwargs = Vec::with_capacity(4);
    if let Some(fields) = fields {
        kwargs.push(("fields", fields));
    }
    if offset > 0 {
        kwargs.push(("offset", Arg::Number(offset)));
    }
    kwargs.push(("limit", Arg::Number(limit)));
    if let Some(order) = order {
        kwargs.push(("order", Arg::Text(order)));
    }
    ([Arg::Value(all_when_null(domain))], kwargs)
}
/// None when the order is unique already, or is none that could be taken apart.
fn with_tiebreak(order: &str) -> Option<Arc<str>> {
    let unique = order.split(',').filter_map(|term| term.split_whitespace().next()).any(|field| field == "id");
    (!unique && !order.trim().is_empty() && !order.contains('(')).then(|| format!("{order}, id").into())
}
fn first_sentence(text: &str) -> String {
    let line = text.lines().find(|l| !l.trim().is_empty()).unwrap_or("Odoo refuses it.");
    line.chars().take(200).collect()
}
