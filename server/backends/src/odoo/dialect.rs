//! What differs between Odoo's versions and between the three ways to speak with one: here, and nowhere else.
//!
//! A [`Request`] is positional, as Odoo's methods are in every version; a dialect turns it into a body. Sources: Odoo 14 to 19,
//! `addons/web/controllers`, `base/controllers/rpc.py` (`addons/rpc` in 19), and what real servers answered.
use kernel::{Code, Fault, OdooVersion, Refusal, refusal};
use serde::{
    Deserialize, Serialize, Serializer,
    de::DeserializeOwned,
    ser::{SerializeMap, SerializeSeq},
};
use serde_json::{Map, Value};

use super::error::{ErrorData, OdooError, RpcError};

/// How a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// A signed-in session and `/web/dataset/call_kw`: every version, passwords only.
    Session,
    /// `/jsonrpc` and `execute_kw`: up to 21, password or API key.
    JsonRpc,
    /// `/json/2/<model>/<method>`: from 19, API keys only.
    Json2,
}

/// From here on JSON-2 exists.
pub(super) const JSON2_FROM: u16 = 19;
/// From here on `/jsonrpc` is announced to be gone.
pub(super) const JSONRPC_UNTIL: u16 = 22;

/// `search_count` takes a limit from 16 on.
pub(super) const fn counts_with_limit(version: OdooVersion) -> bool {
    version.major >= 16
}
/// `formatted_read_group` exists from 19 on; `read_group` is deprecated there.
pub(super) const fn has_formatted_groups(version: OdooVersion) -> bool {
    version.major >= 19
}
/// Paths such as `partner_id.country_id` are grouped by from 19 on.
pub(super) const fn groups_by_path(version: OdooVersion) -> bool {
    version.major >= 19
}
/// Fields that a model's name is declared to depend on and that are in it under keys of the context which are never sent, where that was
/// looked up in Odoo (17 to 19).
pub(super) fn unused_in_names(model: &str) -> Option<&'static [&'static str]> {
    (model == "res.partner").then_some(&["country_id", "email", "state_id", "vat"])
}
/// Names are computed like other fields, and tell from what, from 17 on; before, a method makes them.
pub(super) const fn computes_names(version: OdooVersion) -> bool {
    version.major >= 17
}
/// Related fields that are not stored are grouped by and summed up from 18 on.
pub(super) const fn groups_by_computed(version: OdooVersion) -> bool {
    version.major >= 18
}
/// `month_number` and its kind from 18 on.
pub(super) const fn has_number_parts(version: OdooVersion) -> bool {
    version.major >= 18
}
/// 14 and 15 put errors into a JSON-RPC answer only for requests that are bound to a database.
pub(super) const fn needs_bound_session(version: OdooVersion) -> bool {
    version.major <= 15
}
/// `/doc-bearer/…` from 19 on.
pub(super) const fn has_documentation(version: OdooVersion) -> bool {
    version.major >= 19
}
/// What the fields about users' groups are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct GroupFields {
    /// Of a user: the groups that were given to it. Up to 18 those that they imply are stored among them.
    pub given: &'static str,
    /// Of a user: all its groups.
    pub effective: &'static str,
    /// Of a group: what it belongs to.
    pub category: &'static str,
    /// The model of that.
    pub category_model: &'static str,
    /// Of a group: all that it implies, directly or not.
    pub implied: &'static str,
}
impl GroupFields {
    /// Whether what a user was given and what that implies are told apart.
    pub(super) fn tells_given(&self) -> bool {
        self.given != self.effective
    }
}
pub(super) const fn group_fields(version: OdooVersion) -> GroupFields {
    if version.major >= 19 {
        GroupFields {
            given: "group_ids",
            effective: "all_group_ids",
            category: "privilege_id",
            category_model: "res.groups.privilege",
            implied: "all_implied_ids",
        }
    } else {
        GroupFields {
            given: "groups_id",
            effective: "groups_id",
            category: "category_id",
            category_model: "ir.module.category",
            implied: "trans_implied_ids",
        }
    }
}
/// What a scheduled action tells of its runs beside what it tells in every version: `numbercall` and `doall` went in 18, which
/// counts failures instead.
pub(super) const fn job_fields(version: OdooVersion) -> [&'static str; 2] {
    if version.major >= 18 { ["failure_count", "first_failure_date"] } else { ["numbercall", "doall"] }
}
/// From 16 on a scheduled action that runs already is not run a second time by hand, and Odoo says so.
pub(super) const fn refuses_running_jobs(version: OdooVersion) -> bool {
    version.major >= 16
}
/// From 19 on a scheduled action that is run by hand runs as by the scheduler, in transactions of its own: a failure is not
/// raised but described in the answer, and what was done before it stays.
pub(super) const fn runs_jobs_like_the_scheduler(version: OdooVersion) -> bool {
    version.major >= 19
}
/// From 19 on Odoo says before an installation which Python package is missing.
pub(super) const fn tells_missing_packages(version: OdooVersion) -> bool {
    version.major >= 19
}
/// From 19 on one method takes all marks of modules away; before, each kind of mark has one of its own.
pub(super) const fn resets_module_states(version: OdooVersion) -> bool {
    version.major >= 19
}
/// The modules that a server has loaded without a database; from 19 on, when RPC became one of them, Odoo itself refuses to remove them.
pub(super) const fn server_wide_modules(version: OdooVersion) -> &'static [&'static str] {
    if version.major >= 19 { &["base", "rpc", "web"] } else { &["base", "web"] }
}
/// Views come by `get_view` from 16 on, by `fields_view_get` before (gone in 17).
pub(super) const fn has_get_view(version: OdooVersion) -> bool {
    version.major >= 16
}
/// What a list is called as a type of view.
pub(super) const fn list_view(version: OdooVersion) -> &'static str {
    if version.major >= 18 { "list" } else { "tree" }
}
/// From 16 on translations stand in the translated columns and come by methods of every model; before they are rows of `ir.translation`.
pub(super) const fn translates_in_columns(version: OdooVersion) -> bool {
    version.major >= 16
}
/// Up to 16 a field that is read-only may be written in some states of its document, and `fields_get` tells in which.
pub(super) const fn has_field_states(version: OdooVersion) -> bool {
    version.major <= 16
}
/// The Odoo context that a call carries; nothing else ever does.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Context {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lang: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tz: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed_company_ids: Option<Vec<i64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active_test: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bin_size: Option<bool>,
    /// Attachments that a browser could run are stored as plain text, whoever makes them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attachments_mime_plainxml: Option<bool>,
}

/// An argument, borrowed: it is serialized once, into the body.
#[derive(Debug, Clone, Copy)]
pub(super) enum Arg<'a> {
    Value(&'a Value),
    Object(&'a Map<String, Value>),
    Objects(&'a [Map<String, Value>]),
    Names(&'a [String]),
    Words(&'a [&'a str]),
    Text(&'a str),
    Number(u64),
    Flag(bool),
}
impl Serialize for Arg<'_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Value(v) => v.serialize(s),
            Self::Object(v) => v.serialize(s),
            Self::Objects(v) => v.serialize(s),
            Self::Names(v) => v.serialize(s),
            Self::Words(v) => v.serialize(s),
            Self::Text(v) => v.serialize(s),
            Self::Number(v) => v.serialize(s),
            Self::Flag(v) => v.serialize(s),
        }
    }
}

/// One call of a method. `ids` are the records it is called on; none for methods of the model itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Request<'a> {
    pub model: &'a str,
    pub method: &'a str,
    pub ids: Option<&'a [i64]>,
    pub args: &'a [Arg<'a>],
    pub kwargs: &'a [(&'a str, Arg<'a>)],
    pub context: &'a Context,
    /// Whether it may change something: such a request is sent once.
    pub write: bool,
}

struct Positional<'a>(&'a Request<'a>);
impl Serialize for Positional<'_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut list = s.serialize_seq(None)?;
        if let Some(ids) = self.0.ids {
            list.serialize_element(ids)?;
        }
        for arg in self.0.args {
            list.serialize_element(arg)?;
        }
        list.end()
    }
}
struct Keywords<'a>(&'a Request<'a>);
impl Serialize for Keywords<'_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut map = s.serialize_map(None)?;
        for (name, arg) in self.0.kwargs {
            map.serialize_entry(name, arg)?;
        }
        map.serialize_entry("context", self.0.context)?;
        map.end()
    }
}

#[derive(Serialize)]
struct Envelope<P> {
    jsonrpc: &'static str,
    method: &'static str,
    id: u32,
    params: P,
}
fn enveloped<P: Serialize>(params: P) -> Result<Vec<u8>, Fault> {
    serde_json::to_vec(&Envelope { jsonrpc: "2.0", method: "call", id: 1, params })
        .map_err(|_| Fault::failed("serializing a request to Odoo"))
}

/// The body for `/web/dataset/call_kw`.
pub(super) fn call_kw(request: &Request<'_>) -> Result<Vec<u8>, Fault> {
    #[derive(Serialize)]
    struct Params<'a> {
        model: &'a str,
        method: &'a str,
        args: Positional<'a>,
        kwargs: Keywords<'a>,
    }
    enveloped(Params { model: request.model, method: request.method, args: Positional(request), kwargs: Keywords(request) })
}

#[derive(Serialize)]
struct Service<'a, A> {
    #[serde(rename = "service")]
    of: &'a str,
    method: &'a str,
    args: A,
}
/// The body for `execute_kw` on `/jsonrpc`.
pub(super) fn execute_kw(request: &Request<'_>, database: &str, uid: i64, secret: &str) -> Result<Vec<u8>, Fault> {
    let args = (database, uid, secret, request.model, request.method, Positional(request), Keywords(request));
    enveloped(Service { of: "object", method: "execute_kw", args })
}
/// The body for `common.authenticate` on `/jsonrpc`.
pub(super) fn common_authenticate(database: &str, login: &str, secret: &str) -> Result<Vec<u8>, Fault> {
    enveloped(Service { of: "common", method: "authenticate", args: (database, login, secret, Map::new()) })
}
/// The body for `common.version` on `/jsonrpc`.
pub(super) fn common_version() -> Result<Vec<u8>, Fault> {
    let none: [u8; 0] = [];
    enveloped(Service { of: "common", method: "version", args: none })
}
/// The body for `/web/session/authenticate`.
pub(super) fn sign_in(database: &str, login: &str, password: &str) -> Result<Vec<u8>, Fault> {
    #[derive(Serialize)]
    struct Params<'a> {
        db: &'a str,
        login: &'a str,
        password: &'a str,
    }
    enveloped(Params { db: database, login, password })
}
/// The body for routes without parameters, such as `/web/webclient/version_info`.
pub(super) fn no_parameters() -> Result<Vec<u8>, Fault> {
    enveloped(Map::new())
}

/// The body for JSON-2: every argument by name. `names` are the positional ones' in order.
pub(super) fn json2(request: &Request<'_>, names: &[String]) -> Result<Vec<u8>, Fault> {
    struct Named<'a>(&'a Request<'a>, &'a [String]);
    impl Serialize for Named<'_> {
        fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
            let Self(request, names) = self;
            let mut map = s.serialize_map(None)?;
            if let Some(ids) = request.ids {
                map.serialize_entry("ids", ids)?;
            }
            for (name, arg) in names.iter().zip(request.args) {
                map.serialize_entry(name, arg)?;
            }
            for (name, arg) in request.kwargs {
                map.serialize_entry(name, arg)?;
            }
            map.serialize_entry("context", request.context)?;
            map.end()
        }
    }
    serde_json::to_vec(&Named(request, names)).map_err(|_| Fault::failed("serializing a request to Odoo"))
}

/// An answer that was understood.
pub(super) enum Said<T> {
    Result(T),
    Error(OdooError),
    /// No answer of this protocol: a page, a proxy's error, garbage.
    Garbage,
}

/// Reads a JSON-RPC answer in one pass. An absent `result` is null: that is how Odoo writes None.
pub(super) fn read_rpc<T: DeserializeOwned>(body: &[u8]) -> Said<T> {
    #[derive(Deserialize)]
    #[serde(bound(deserialize = "T: DeserializeOwned"))]
    struct Reply<T> {
        #[serde(default = "Option::default")]
        result: Option<T>,
        error: Option<RpcError>,
        jsonrpc: Option<serde::de::IgnoredAny>,
    }
    match serde_json::from_slice::<Reply<T>>(body) {
        Ok(Reply { error: Some(error), .. }) => Said::Error(OdooError::of_rpc(error)),
        Ok(Reply { result: Some(result), .. }) => Said::Result(result),
        Ok(Reply { jsonrpc: Some(_), .. }) => serde_json::from_str("null").map_or(Said::Garbage, Said::Result),
        _ => Said::Garbage,
    }
}
/// Reads a JSON-2 answer: the bare value, or an error by status.
pub(super) fn read_json2<T: DeserializeOwned>(status: u16, body: &[u8]) -> Said<T> {
    if (200..300).contains(&status) {
        return serde_json::from_slice(body).map_or(Said::Garbage, Said::Result);
    }
    match serde_json::from_slice::<ErrorData>(body) {
        Ok(data) => Said::Error(OdooError::of_json2(status, data)),
        Err(_) if matches!(status, 401 | 403 | 404) => Said::Error(OdooError::of_json2(status, ErrorData::default())),
        Err(_) => Said::Garbage,
    }
}

/// The names of the standard methods' parameters behind `self`, in order, as 19 has them. The positions are the same in every
/// version since 14; the names are not (`args` became `domain`), which is why everything but JSON-2 gets them by position.
pub(super) fn parameters(method: &str) -> Option<&'static [&'static str]> {
    Some(match method {
        "search" => &["domain", "offset", "limit", "order"],
        "search_read" => &["domain", "fields", "offset", "limit", "order"],
        "search_count" => &["domain", "limit"],
        "name_search" => &["name", "domain", "operator", "limit"],
        "read" => &["fields", "load"],
        "read_group" => &["domain", "fields", "groupby", "offset", "limit", "orderby", "lazy"],
        "formatted_read_group" => &["domain", "groupby", "aggregates", "having", "offset", "limit", "order"],
        "fields_get" => &["allfields", "attributes"],
        "default_get" => &["fields"],
        "onchange" => &["values", "field_names", "fields_spec"],
        "get_view" | "fields_view_get" => &["view_id", "view_type"],
        "get_views" | "load_views" => &["views", "options"],
        "has_access" => &["operation"],
        "check_access_rights" => &["operation", "raise_exception"],
        "check_object_reference" => &["module", "xml_id", "raise_on_access_error"],
        "get_field_translations" => &["field_name", "langs"],
        "update_field_translations" => &["field_name", "translations", "source_lang"],
        "downstream_dependencies" | "upstream_dependencies" => &["known_deps", "exclude_states"],
        "check_external_dependencies" => &["module_name", "newstate"],
        "create" => &["vals_list"],
        "write" => &["vals"],
        "copy" => &["default"],
        "get_metadata" | "get_external_id" | "name_get" | "unlink" | "action_archive" | "action_unarchive" | "context_get" => &[],
        "get_param" => &["key", "default"],
        "set_param" => &["key", "value"],
        "load" => &["fields", "data"],
        _ => return None,
    })
}
/// An older name of a parameter, as callers may still write it.
pub(super) fn renamed(method: &str, name: &str) -> Option<&'static str> {
    match (method, name) {
        ("search" | "search_count" | "name_search", "args") => Some("domain"),
        ("default_get", "fields_list") => Some("fields"),
        ("read_group", "order") => Some("orderby"),
        ("formatted_read_group", "orderby") => Some("order"),
        ("onchange", "field_name") => Some("field_names"),
        ("onchange", "field_onchange") => Some("fields_spec"),
        ("create", "vals" | "values") => Some("vals_list"),
        ("write", "values") => Some("vals"),
        _ => None,
    }
}
/// Whether a method is called on records (its first argument is their ids) or on the model.
pub(super) fn on_records(method: &str) -> Option<bool> {
    Some(match method {
        "search"
        | "search_read"
        | "search_count"
        | "name_search"
        | "read_group"
        | "formatted_read_group"
        | "fields_get"
        | "default_get"
        | "get_view"
        | "get_views"
        | "fields_view_get"
        | "load_views"
        | "check_access_rights"
        | "check_object_reference"
        | "create"
        | "load" => false,
        "read"
        | "name_get"
        | "onchange"
        | "get_metadata"
        | "get_external_id"
        | "has_access"
        | "get_field_translations"
        | "downstream_dependencies"
        | "upstream_dependencies"
        | "write"
        | "unlink"
        | "copy" => true,
        _ => return None,
    })
}

/// `create` and `copy` give an id or a list of ids, by version and dialect.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum OneOrMany {
    One(i64),
    Many(Vec<i64>),
}
impl OneOrMany {
    pub(super) fn into_vec(self) -> Vec<i64> {
        match self {
            Self::One(id) => vec![id],
            Self::Many(ids) => ids,
        }
    }
}

/// What a server tells of itself without authentication, or in the answer to a login.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct VersionInfo {
    /// E.g. `19.0-20260215` or `18.0+e`.
    #[serde(rename = "server_version")]
    pub full: String,
    #[serde(default, rename = "server_version_info")]
    parts: Vec<Value>,
    #[serde(default, rename = "server_serie")]
    serie: Option<String>,
}
impl VersionInfo {
    pub(super) fn version(&self) -> Option<OdooVersion> {
        self.full.parse().ok()
    }
    pub(super) fn serie(&self) -> String {
        self.serie.clone().or_else(|| self.version().map(|v| v.to_string())).unwrap_or_default()
    }
    pub(super) fn edition(&self) -> &'static str {
        let enterprise = self.full.contains("+e") || self.parts.last().and_then(Value::as_str).is_some_and(|e| e == "e");
        if enterprise { "enterprise" } else { "community" }
    }
}

/// The answer to `/web/session/authenticate`. `uid` is null or false where a second factor is asked for.
#[derive(Debug, Deserialize)]
pub(super) struct SessionInfo {
    #[serde(default)]
    pub uid: Value,
    #[serde(flatten)]
    pub version: Option<VersionInfo>,
}

/// One line of the documentation's index (19).
#[derive(Debug, Deserialize)]
pub(super) struct Documented {
    pub model: String,
    #[serde(default)]
    pub name: String,
}
#[derive(Debug, Deserialize)]
pub(super) struct DocumentationIndex {
    #[serde(default)]
    pub models: Vec<Documented>,
}
/// A model's page of the documentation (19), as far as methods go.
#[derive(Debug, Deserialize)]
pub(super) struct DocumentationPage {
    #[serde(default)]
    pub methods: std::collections::BTreeMap<String, DocumentedMethod>,
}
#[derive(Debug, Deserialize)]
pub(super) struct DocumentedMethod {
    /// By name, in order.
    #[serde(default)]
    pub parameters: Map<String, Value>,
    #[serde(default)]
    pub signature: Option<String>,
    #[serde(default)]
    pub api: Option<Vec<String>>,
    /// In HTML, as everything that is called doc.
    #[serde(default)]
    pub doc: Option<String>,
    #[serde(default)]
    pub model: Option<String>,
    #[serde(default)]
    pub module: Option<String>,
    #[serde(default, rename = "return")]
    pub returns: Map<String, Value>,
    #[serde(default, rename = "raise")]
    pub raises: Map<String, Value>,
}

/// Whether a refused page of a session route says that there is no session (any more).
pub(super) fn session_is_gone(body: &[u8]) -> bool {
    let text = String::from_utf8_lossy(body);
    text.contains("No database is selected") || text.contains("SessionExpired") || text.contains("Session expired")
}

/// JSON-2 takes no positional arguments, and nobody told their names.
pub(super) fn unnamed(model: &str, method: &str) -> Refusal {
    refusal(Code::InvalidArgument, format!("This instance is reached by JSON-2, which takes arguments by name only, and the names of {model}.{method} are not known."))
        .next("Pass every argument in kwargs under its name in Odoo's source.")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_request_takes_the_form_of_each_dialect() {
        let domain = json!([["name", "=", "x"]]);
        let context = Context { lang: Some("fr_FR".into()), ..Context::default() };
        let args = [Arg::Value(&domain)];
        let kwargs = [("limit", Arg::Number(3))];
        let request = Request {
            model: "res.partner",
            method: "search",
            ids: None,
            args: &args,
            kwargs: &kwargs,
            context: &context,
            write: false,
        };
        let parsed = |bytes: Vec<u8>| serde_json::from_slice::<Value>(&bytes).unwrap();
        let params = parsed(call_kw(&request).unwrap())["params"].clone();
        assert_eq!(
            params,
            json!({"model": "res.partner", "method": "search", "args": [domain], "kwargs": {"limit": 3, "context": {"lang": "fr_FR"}}})
        );
        let params = parsed(execute_kw(&request, "db", 2, "s").unwrap())["params"].clone();
        assert_eq!(
            params["args"],
            json!(["db", 2, "s", "res.partner", "search", [domain], {"limit": 3, "context": {"lang": "fr_FR"}}])
        );
        assert_eq!(
            parsed(json2(&request, &["domain".into()]).unwrap()),
            json!({"domain": domain, "limit": 3, "context": {"lang": "fr_FR"}})
        );
        let ids = [1, 2];
        let on = Request { ids: Some(&ids), args: &[], kwargs: &[], method: "read", ..request };
        assert_eq!(parsed(call_kw(&on).unwrap())["params"]["args"], json!([[1, 2]]));
        assert_eq!(parsed(json2(&on, &[]).unwrap())["ids"], json!([1, 2]));
    }

    #[test]
    fn an_absent_result_is_null_and_a_page_is_no_answer() {
        assert!(matches!(read_rpc::<Value>(br#"{"jsonrpc": "2.0", "id": 1}"#), Said::Result(Value::Null)));
        assert!(matches!(read_rpc::<Value>(br#"{"jsonrpc": "2.0", "id": 1, "result": null}"#), Said::Result(Value::Null)));
        assert!(matches!(read_rpc::<Value>(br#"{"jsonrpc": "2.0", "id": 1, "result": [1]}"#), Said::Result(Value::Array(_))));
        assert!(matches!(read_rpc::<Value>(br#"{"jsonrpc": "2.0", "error": {"code": 200}}"#), Said::Error(_)));
        assert!(matches!(read_rpc::<Value>(b"<html>"), Said::Garbage));
        assert!(matches!(read_rpc::<Value>(b"{}"), Said::Garbage));
        assert!(matches!(read_json2::<Value>(200, b"false"), Said::Result(Value::Bool(false))));
        assert!(matches!(read_json2::<Value>(502, b"<html>"), Said::Garbage));
    }

    #[test]
    fn editions() {
        let info = |v: &str, last: &str| VersionInfo { full: v.into(), parts: vec![json!(last)], serie: None };
        assert_eq!(info("18.0+e-20260101", "e").edition(), "enterprise");
        assert_eq!(info("19.0", "").edition(), "community");
        assert_eq!(info("saas~18.2+e", "e").version(), Some(OdooVersion { major: 18, minor: 2 }));
    }
}
