//! The caller's policy on an instance, and what no generic tool may touch.
//!
//! Three lists stand above every key: models that are refused altogether, models that are read but never changed by a
//! generic tool, and methods that would pass by either. A tool that is the dedicated way to a model names it in `lifts`.
//! Credential fields are withheld whoever asks: by name, for the types that can hold a secret, and by a list per model.
use std::{borrow::Cow, collections::BTreeSet, sync::Arc};

use kernel::{
    Code, Refusal, Selection, name, redact, refusal,
    resource::{Rule, Rules},
};
use serde_json::Value;

/// The policy that every handle carries. Built by dispatch from the actor's permissions and the tool.
#[derive(Debug, Clone)]
pub struct Scope {
    pub models: Selection<String>,
    /// `model.method` names that a restricted key may run.
    pub methods: BTreeSet<String>,
    pub companies: Selection<i64>,
    /// Block-listed models that the running tool is the dedicated way to.
    pub lifts: &'static [&'static str],
    /// Whether more limits the key here than its categories and tools; always where there are rules.
    pub restricted: bool,
    /// What resources and the key's own rules say, where there are any.
    pub rules: Option<Arc<Rules>>,
    /// Records in one answer (the organization's cap).
    pub max_records: u64,
    /// The most that `limit` may ask for.
    pub max_search_limit: u64,
}

/// Refused for reads and writes alike: parameters, servers for mail, payment providers, accounts, keys, identity and
/// certificates. `*` at the end stands for any ending.
pub(crate) const SEALED: [&str; 22] = [
    "ir.config_parameter",
    "res.config.settings",
    "ir.mail_server",
    "fetchmail.server",
    "payment.provider",
    "payment.acquirer",
    "payment.token",
    "iap.account*",
    "res.users.apikeys*",
    "res.users.identitycheck",
    "res.users.deletion",
    "change.password.*",
    "auth_totp.*",
    "auth.passkey.*",
    "auth.oauth.provider",
    "auth.api.key*",
    "certificate.*",
    "ir.logging",
    "ir.profile",
    "google.credentials",
    "microsoft.calendar.credentials",
    "mcp.api.key*",
];

/// Readable, credential fields withheld, but never created, changed, deleted or run by a generic tool: what holds code,
/// access rights, identity, modules, or acts on the outside.
pub(crate) const GUARDED: [&str; 34] = [
    "base.automation*",
    "base.import.module",
    "base.language.*",
    "base.module.*",
    "base.partner.merge.*",
    "base_import.*",
    "data_recycle.*",
    "ir.actions.*",
    "ir.asset",
    "ir.attachment",
    "ir.cron*",
    "ir.default",
    "ir.embedded.actions",
    "ir.filters",
    "ir.http",
    "ir.model",
    "ir.model.*",
    "ir.module.*",
    "ir.qweb*",
    "ir.rule",
    "ir.ui.view*",
    "mail.compose.message",
    "mail.mail",
    "mail.template*",
    "mailing.*",
    "privacy.*",
    "res.device*",
    "res.groups*",
    "res.users",
    "res.users.*",
    "sms.*",
    "snailmail.*",
    "website",
    "website.page*",
];

/// Never by execute_method, on any model.
const METHODS: [&str; 46] = [
    "authenticate",
    "browse",
    "call_cache_clearing_methods",
    "clear_caches",
    "concat",
    "copy",
    "copy_data",
    "copy_multi",
    "copy_translations",
    "create",
    "ensure_one",
    "exists",
    "export_data",
    "filtered",
    "filtered_domain",
    "formatted_read_grouping_sets",
    "grouped",
    "import_data",
    "init",
    "install_from_urls",
    "invalidate_cache",
    "load",
    "mapped",
    "method_direct_trigger",
    "modified",
    "module_uninstall",
    "name_create",
    "new",
    "read_combined",
    "read_progress_bar",
    "refresh",
    "regenerate_assets_bundles",
    "search_fetch",
    "fetch",
    "sorted",
    "sudo",
    "toggle_noupdate",
    "translate_fields",
    "union",
    "unlink",
    "update",
    "update_field_translations",
    "user_has_groups",
    "view_init",
    "write",
    "generate_access_token",
];
/// The same for every name that starts so.
const METHOD_PREFIXES: [&str; 6] = ["_", "with_", "web_", "flush", "invalidate_", "search_panel_"];

/// What a restricted key may ask on a permitted model without being allowed the method by name.
const RESTRICTED_READS: [&str; 9] = [
    "name_search",
    "search",
    "search_read",
    "search_count",
    "read",
    "fields_get",
    "default_get",
    "has_access",
    "check_access_rights",
];

/// Credentials whose names do not give them away.
const CREDENTIAL_FIELDS: [(&str, &[&str]); 13] = [
    ("res.users", &["password", "new_password", "totp_secret", "sid", "api_key_ids"]),
    ("res.partner", &["signup_token", "signup_url"]),
    ("hr.employee", &["pin"]),
    ("hr.employee.public", &["pin"]),
    ("res.device*", &["session_identifier"]),
    ("res.users.settings", &["google_calendar_rtoken", "microsoft_calendar_rtoken"]),
    ("base.automation", &["webhook_uuid", "url"]),
    ("mail.push.device", &["keys", "endpoint"]),
    ("mail.partner.device", &["keys", "endpoint"]),
    ("certificate*", &["content", "pkcs12_password"]),
    ("ir.actions.server", &["webhook_url"]),
    ("pos.payment.method", &["adyen_api_key", "stripe_serial_number"]),
    ("ir.http", &["key"]),
];
/// Words that hold a secret's name within them and are none.
const INNOCENT: [&str; 6] = ["secretar", "tokeni", "keyword", "session_id", "authorization_type", "token_count"];

/// What tells of other models' records and fields beside them: messages with what was changed, attachments, translations, activities.
/// Where fields or records are hidden these are refused, unless a rule is about them.
const SHADOWS: [&str; 23] = [
    "crm.activity.report",
    "bus.*",
    "discuss.*",
    "ir.attachment",
    "ir.default",
    "ir.model.data",
    "ir.property",
    "ir.translation",
    "link.tracker*",
    "mail.*",
    "mailing.*",
    "phone.blacklist*",
    "portal.*",
    "privacy.*",
    "publisher_warranty.*",
    "rating.*",
    "sms.*",
    "snailmail.*",
    "spreadsheet.*",
    "documents.*",
    "knowledge.*",
    "data_cleaning.*",
    "data_merge.*",
];
/// What one may read whatever is hidden: models that describe models, modules and languages, and hold nobody's data.
const DESCRIBING: [&str; 11] = [
    "ir.model",
    "ir.model.constraint",
    "ir.model.fields",
    "ir.model.fields.selection",
    "ir.model.relation",
    "ir.module.category",
    "ir.module.module",
    "ir.module.module.dependency",
    "ir.module.module.exclusion",
    "ir.ui.view",
    "res.lang",
];
/// Methods that give no record's data.
const TELLING_NOTHING: [&str; 5] = ["check_access_rights", "fields_get", "has_access", "has_group", "context_get"];
/// The reading methods that keep to hidden fields and records; the others could pass by them.
const KEPT_READS: [&str; 8] =
    ["search", "search_read", "search_count", "read", "fields_get", "default_get", "has_access", "check_access_rights"];

/// What is done with records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Right {
    Create,
    Write,
    Delete,
}
impl Right {
    const fn verb(self) -> &'static str {
        match self {
            Self::Create => "created",
            Self::Write => "changed",
            Self::Delete => "deleted",
        }
    }
}

fn listed(list: &[&'static str], model: &str) -> bool {
    list.iter().any(|entry| matches(entry, model))
}
fn matches(entry: &str, name: &str) -> bool {
    match entry.strip_suffix('*') {
        Some(stem) => name.starts_with(stem),
        None => entry == name,
    }
}

/// Whether a field of this name could be a credential; the type decides (see [`is_credential`]).
pub(crate) fn secret_like(model: &str, field: &str) -> bool {
    CREDENTIAL_FIELDS.iter().any(|(m, fields)| matches(m, model) && fields.contains(&field))
        || (field != "key" && redact::is_secret_name(field) && !INNOCENT.iter().any(|word| field.contains(word)))
}
/// Whether the field is a credential: a name of that kind on a type that can hold one. A flag, a number or a date beside
/// a secret (`totp_enabled`, `token_validity`) is none, and a relation's records have their own rule.
pub(crate) fn is_credential(model: &str, field: &str, kind: &str) -> bool {
    CREDENTIAL_FIELDS.iter().any(|(m, fields)| matches(m, model) && fields.contains(&field))
        || (secret_like(model, field)
            && matches!(kind, "char" | "text" | "html" | "binary" | "json" | "jsonb" | "serialized" | "reference"))
}

impl Scope {
    /// Whether the tool that runs is the dedicated way to this model.
    pub(crate) fn lifted(&self, model: &str) -> bool {
        self.lifts.contains(&model)
    }
    /// Refuses what may not be read; the name is checked too.
    pub fn readable(&self, model: &str) -> Result<(), Refusal> {
        name::identifier("model", model)?;
        if !self.models.contains(model) {
            return Err(refusal(Code::ModelDenied, format!("This key may not use the model {model}.")).next(self.which_models()));
        }
        if listed(&SEALED, model) && !self.lifted(model) {
            return Err(refusal(
                Code::ModelDenied,
                format!("{model} holds secrets or settings of the system; generic tools do not touch it."),
            )
            .next(dedicated(model)));
        }
        match &self.rules {
            None => Ok(()),
            Some(rules) => Self::readable_by(rules, model),
        }
    }
    fn readable_by(rules: &Rules, model: &str) -> Result<(), Refusal> {
        const ASK: &str = "An administrator of the organization decides it with ocore resource.";
        if rules.refuses(model) {
            return Err(refusal(
                Code::ModelDenied,
                format!("The organization has no resource for {model}, and refuses what has none."),
            )
            .next(ASK));
        }
        match rules.of(model) {
            Some(rule) if !rule.read => Err(refusal(Code::ModelDenied, format!("{model} is not read here.")).next(ASK)),
            None if rules.hides() && listed(&SHADOWS, model) => {
                Err(refusal(Code::ModelDenied, format!("{model} tells of records and fields that are hidden from this key."))
                    .next(ASK))
            }
            _ => Ok(()),
        }
    }
    /// What the rules say of a model.
    pub(crate) fn rule(&self, model: &str) -> Option<&Rule> {
        self.rules.as_deref()?.of(model)
    }
    /// The rules, where they hide fields or records of any model.
    pub(crate) fn hiding(&self) -> Option<&Arc<Rules>> {
        self.rules.as_ref().filter(|rules| rules.hides())
    }
    /// Whether records of this model are hidden.
    pub(crate) fn filtered(&self, model: &str) -> bool {
        self.rule(model).is_some_and(Rule::filtered)
    }
    /// Whether some fields of this model are hidden by its own rule.
    pub(crate) fn veiled(&self, model: &str) -> bool {
        self.rule(model).is_some_and(|rule| !rule.fields.is_all())
    }
    /// What goes to Odoo past the checks of fields and records is refused where any are hidden, but for what tells nobody's data.
    pub(crate) fn unguarded(&self, model: &str, method: &str) -> Result<(), Refusal> {
        if self.rules.is_none() || self.hiding().is_none() {
            return Ok(());
        }
        let of_views = matches!(method, "get_view" | "fields_view_get") && self.rule(model).is_none_or(|rule| !rule.hides());
        if DESCRIBING.contains(&model) || TELLING_NOTHING.contains(&method) || of_views {
            return Ok(());
        }
        Err(refusal(
            Code::ModelDenied,
            format!("Fields or records are hidden from this key, and this way to {model} could not keep to that."),
        )
        .next("Use search_read, read, count, aggregation and the tools that write records; they keep to it."))
    }
    /// Refuses what may not be changed or run.
    pub(crate) fn writable(&self, model: &str) -> Result<(), Refusal> {
        self.permitted(model, Right::Write)
    }
    /// Refuses what may not be created, changed or deleted.
    pub(crate) fn permitted(&self, model: &str, right: Right) -> Result<(), Refusal> {
        self.changeable(model)?;
        let Some(rule) = self.rule(model) else { return Ok(()) };
        let may = match right {
            Right::Create => rule.create,
            Right::Write => rule.write,
            Right::Delete => rule.delete,
        };
        if may {
            return Ok(());
        }
        let message = if rule.create || rule.write || rule.delete {
            format!("Records of {model} are not {} here.", right.verb())
        } else {
            format!("{model} is read-only here.")
        };
        Err(refusal(Code::ModelDenied, message).next("An administrator of the organization decides it with ocore resource."))
    }
    fn changeable(&self, model: &str) -> Result<(), Refusal> {
        self.readable(model)?;
        if listed(&GUARDED, model) && !self.lifted(model) {
            return Err(refusal(
                Code::ModelDenied,
                format!("{model} can be read, but generic tools do not change it or run its methods."),
            )
            .next(dedicated(model)));
        }
        Ok(())
    }
    /// The block-lists alone, for what is changed on the way to a permitted field.
    pub(crate) fn not_guarded(&self, model: &str) -> Result<(), Refusal> {
        if (listed(&SEALED, model) || listed(&GUARDED, model)) && !self.lifted(model) {
            return Err(refusal(Code::ModelDenied, format!("This field writes to {model}, which generic tools do not change."))
                .next(dedicated(model)));
        }
        Ok(())
    }
    /// Whether names of this model's records may be shown: they go with its reading for a restricted key.
    pub(crate) fn shows_names_of(&self, model: &str) -> bool {
        self.lists(model)
    }
    /// Whether the model is among those that the key may read.
    pub(crate) fn lists(&self, model: &str) -> bool {
        self.models.contains(model) && self.rules.as_ref().is_none_or(|rules| Self::readable_by(rules, model).is_ok())
    }
    fn which_models(&self) -> Cow<'static, str> {
        match &self.models {
            Selection::Only(models) if !models.is_empty() => {
                format!("It may use {}.", models.iter().take(20).map(String::as_str).collect::<Vec<_>>().join(", ")).into()
            }
            _ => "It may use no model at all; ask an administrator.".into(),
        }
    }
    fn names_method(&self, model: &str, method: &str) -> bool {
        self.methods.iter().any(|m| m.rsplit_once('.').is_some_and(|(a, b)| a == model && b == method))
    }
    /// May this method without effects be asked of this model?
    pub(crate) fn askable(&self, model: &str, method: &str) -> Result<(), Refusal> {
        self.readable(model)?;
        if self.rules.is_some() {
            self.kept_read(model, method)?;
        }
        if !self.restricted || RESTRICTED_READS.contains(&method) || self.names_method(model, method) {
            return Ok(());
        }
        Err(unlisted(model, method))
    }
    /// Where fields or records are hidden, only the methods whose arguments and answers are checked for that.
    fn kept_read(&self, model: &str, method: &str) -> Result<(), Refusal> {
        let Some(rules) = self.hiding() else { return Ok(()) };
        let hides = rules.of(model).is_some_and(Rule::hides);
        let grouping = matches!(method, "read_group" | "formatted_read_group");
        if KEPT_READS.contains(&method) || (method == "name_search" || grouping) && !hides {
            return Ok(());
        }
        let advice = if grouping { "Use aggregation." } else { "Use search_read, read, count and aggregation; they keep to it." };
        Err(refusal(
            Code::PermissionDenied,
            format!("Fields or records are hidden from this key, and {model}.{method} could pass by that."),
        )
        .next(advice))
    }
    /// May this method be run?
    pub(crate) fn callable(&self, model: &str, method: &str) -> Result<(), Refusal> {
        self.writable(model)?;
        name::identifier("method", method)?;
        let lifted = self.lifted(model);
        if method.starts_with('_') || method.contains('.') {
            return Err(refusal(Code::PermissionDenied, format!("{method} is private; Odoo runs public methods only."))
                .next("Use the public method that the form's button calls, such as action_confirm."));
        }
        let blocked = METHODS.contains(&method) || METHOD_PREFIXES.iter().any(|p| method.starts_with(p));
        // The block-list wins over a key's own list: a restriction must not grant what no other key has.
        if blocked && !lifted {
            return Err(refusal(Code::PermissionDenied, format!("The method {method} is not run by execute_method."))
                .next(instead_of(method)));
        }
        let limited = self.rule(model).is_some_and(|rule| !rule.is_open());
        if (limited || self.restricted && !lifted) && !self.names_method(model, method) {
            return Err(unlisted(model, method));
        }
        Ok(())
    }
    /// The companies that the context carries: those asked for within the key's, or all of the key's.
    pub(crate) fn companies(&self, asked: Option<&[i64]>) -> Result<Option<Vec<i64>>, Refusal> {
        let Selection::Only(mine) = &self.companies else { return Ok(asked.map(<[i64]>::to_vec)) };
        if mine.is_empty() {
            return Err(refusal(Code::PermissionDenied, "This key is limited to no company at all.")
                .next("Ask an administrator to name its companies."));
        }
        match asked {
            None | Some([]) => Ok(Some(mine.iter().copied().collect())),
            Some(ids) => match ids.iter().find(|id| !mine.contains(id)) {
                None => Ok(Some(ids.to_vec())),
                Some(other) => Err(self.other_company(*other)),
            },
        }
    }
    fn other_company(&self, other: i64) -> Refusal {
        let Selection::Only(mine) = &self.companies else {
            return refusal(Code::PermissionDenied, "This company is not permitted.");
        };
        let list = mine.iter().map(i64::to_string).collect::<Vec<_>>().join(", ");
        refusal(Code::PermissionDenied, format!("This key may not act in the company {other}."))
            .next(format!("It may act in {list}."))
    }
    /// Refuses a company outside the key's in a value that is written.
    pub(crate) fn company_value(&self, value: &Value) -> Result<(), Refusal> {
        let Selection::Only(mine) = &self.companies else { return Ok(()) };
        match value.as_i64() {
            Some(id) if !mine.contains(&id) => Err(self.other_company(id)),
            _ => Ok(()),
        }
    }
}

fn unlisted(model: &str, method: &str) -> Refusal {
    refusal(Code::PermissionDenied, format!("This key is restricted and its policy does not list {model}.{method}."))
        .next("Use search_read, read and the other tools for records, or ask an administrator to list the method.")
}

fn dedicated(model: &str) -> Cow<'static, str> {
    match model {
        "ir.config_parameter" | "res.config.settings" => "Use get_system_parameter and set_system_parameter.",
        "ir.attachment" => "Use list_attachments, upload_attachment, download_attachment and delete_attachment.",
        "ir.cron" => "Use list_scheduled_actions, toggle_scheduled_action and run_scheduled_action.",
        "ir.logging" => "Use odoo_logs.",
        "res.users" | "res.groups" | "change.password.wizard" => {
            "Use list_users, set_user_active, set_user_password and set_user_groups."
        }
        m if m.starts_with("ir.module.") || m.starts_with("base.module.") => "Use the tools of the category modules.",
        _ => "There is no tool for it; an administrator does it in Odoo itself.",
    }
    .into()
}
fn instead_of(method: &str) -> &'static str {
    match method {
        "create" | "name_create" | "new" => "Use the tool create or batch_create.",
        "write" | "update" | "web_save" => "Use the tool write or batch_update.",
        "unlink" => "Use the tool unlink or batch_delete.",
        "copy" | "copy_data" | "copy_multi" => "Use the tool copy or batch_copy.",
        "load" | "import_data" => "Use the tool import_csv.",
        "export_data" => "Use the tool export_csv.",
        "update_field_translations" | "copy_translations" | "translate_fields" => "Use the tool update_translation.",
        "method_direct_trigger" => "Use the tool run_scheduled_action.",
        "call_cache_clearing_methods" | "clear_caches" | "regenerate_assets_bundles" => "Use the tool clear_system_cache.",
        m if m.starts_with("web_")
            || m.starts_with("search_panel_")
            || matches!(m, "read_progress_bar" | "search_fetch" | "fetch") =>
        {
            "Use search_read, read or aggregation; they withhold what must stay secret."
        }
        m if m.starts_with("with_") || m == "sudo" => "Use the argument context of the tool; rights cannot be raised.",
        _ => "Use the tools for records: search_read, read, create, write, unlink.",
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn open() -> Scope {
        Scope {
            models: Selection::All,
            methods: BTreeSet::new(),
            companies: Selection::All,
            lifts: &[],
            restricted: false,
            max_records: 500,
            max_search_limit: 1000,
            rules: None,
        }
    }
    pub(crate) fn only(models: &[&str]) -> Scope {
        Scope { models: Selection::only(models.iter().map(|m| (*m).to_owned())), restricted: true, ..open() }
    }

    #[test]
    fn sealed_models_are_refused_altogether_and_guarded_ones_for_writing() {
        let scope = open();
        for model in [
            "ir.config_parameter",
            "ir.mail_server",
            "payment.provider",
            "res.users.apikeys",
            "res.users.apikeys.description",
            "auth_totp.device",
            "iap.account",
            "ir.logging",
            "certificate.key",
        ] {
            assert_eq!(scope.readable(model).unwrap_err().code, Code::ModelDenied, "{model}");
        }
        for model in [
            "res.users",
            "res.groups",
            "ir.rule",
            "ir.model.access",
            "ir.cron",
            "ir.module.module",
            "ir.ui.view",
            "ir.attachment",
            "ir.actions.server",
            "ir.actions.act_window",
            "base.automation",
            "mail.template",
            "ir.model",
            "ir.model.fields",
            "ir.default",
            "website.page",
            "mail.mail",
            "sms.sms",
        ] {
            assert!(scope.readable(model).is_ok(), "{model}");
            assert_eq!(scope.writable(model).unwrap_err().code, Code::ModelDenied, "{model}");
        }
        for model in ["res.partner", "sale.order", "mail.message", "crm.lead", "res.users2", "x_studio_thing"] {
            assert!(scope.writable(model).is_ok(), "{model}");
        }
        assert_eq!(scope.readable("res partner").unwrap_err().code, Code::InvalidArgument);
    }

    #[test]
    fn a_lift_is_for_the_model_it_names_exactly() {
        let scope = Scope { lifts: &["res.users"], ..open() };
        assert!(scope.writable("res.users").is_ok());
        assert!(scope.readable("res.users.apikeys").is_err());
        let limited = Scope { lifts: &["res.users"], ..only(&["res.partner"]) };
        assert!(limited.readable("res.users").is_err(), "a lift does not widen a key");
    }

    #[test]
    fn methods_that_would_pass_by_the_checks_are_refused() {
        let scope = open();
        for method in [
            "create",
            "write",
            "unlink",
            "copy",
            "sudo",
            "with_user",
            "with_context",
            "export_data",
            "load",
            "_compute",
            "__init__",
            "web_search_read",
            "web_read",
            "web_save",
            "init",
        ] {
            assert_eq!(scope.callable("res.partner", method).unwrap_err().code, Code::PermissionDenied, "{method}");
        }
        for method in ["action_confirm", "button_draft", "message_post", "toggle_active", "x_do"] {
            assert!(scope.callable("res.partner", method).is_ok(), "{method}");
        }
    }

    #[test]
    fn a_restricted_key_runs_what_its_policy_names() {
        let mut scope = only(&["sale.order"]);
        assert!(scope.askable("sale.order", "search_read").is_ok());
        for method in ["onchange", "get_views", "read_group"] {
            assert_eq!(scope.askable("sale.order", method).unwrap_err().code, Code::PermissionDenied);
        }
        assert!(scope.callable("sale.order", "action_confirm").is_err());
        scope.methods.insert("sale.order.action_confirm".to_owned());
        assert!(scope.callable("sale.order", "action_confirm").is_ok());
        assert!(scope.callable("sale.order", "action_cancel").is_err());
        assert_eq!(scope.callable("res.partner", "action_confirm").unwrap_err().code, Code::ModelDenied);
    }

    #[test]
    fn only_what_can_hold_a_secret_is_a_credential() {
        for (model, field, kind) in [
            ("res.users", "password", "char"),
            ("res.users", "totp_secret", "char"),
            ("sale.order", "access_token", "char"),
            ("res.partner", "signup_token", "char"),
            ("res.users", "oauth_access_token", "char"),
            ("x", "api_key", "char"),
            ("res.company", "client_secret", "char"),
            ("hr.employee", "pin", "char"),
        ] {
            assert!(is_credential(model, field, kind), "{model}.{field}");
        }
        for (model, field, kind) in [
            ("pos.order", "session_id", "many2one"),
            ("x", "keyword", "char"),
            ("x", "secretary_name", "char"),
            ("res.users", "totp_enabled", "boolean"),
            ("sale.order", "payment_token_id", "many2one"),
            ("ir.ui.view", "key", "char"),
            ("x", "token_expiry", "datetime"),
            ("res.partner", "name", "char"),
        ] {
            assert!(!is_credential(model, field, kind), "{model}.{field}");
        }
    }

    #[test]
    fn companies_stay_within_the_keys() {
        let scope = Scope { companies: Selection::only([2, 3]), restricted: true, ..open() };
        assert_eq!(scope.companies(None).unwrap(), Some(vec![2, 3]));
        assert_eq!(scope.companies(Some(&[3])).unwrap(), Some(vec![3]));
        assert!(scope.companies(Some(&[1])).is_err());
        assert!(Scope { companies: Selection::only([]), ..scope }.companies(None).is_err());
        assert_eq!(open().companies(Some(&[1])).unwrap(), Some(vec![1]));
    }
}
