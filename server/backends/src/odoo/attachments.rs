//! Attachments: files that hang on records. Odoo decides what the credential may do with them; here is what the key may.
//!
//! An attachment goes with its record: a key reads it where the record is there for it, and makes or deletes it where it may change
//! the record's model. Those without a record (drafts, assets, web pages' styles) are nobody's here, and so are the contents of
//! binary fields, which are attachments with a `res_field`: the tools for records read and empty those. Where fields are hidden
//! from a key its attachments are too, for nothing tells what a file repeats of them.
use base64::Engine as _;
use kernel::{Code, Fault, Refusal, refusal};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};

use super::{
    Reader, Result, Writer,
    dialect::{Arg, Context, OneOrMany, Request},
    users::{one, one_name, text},
};
use crate::scope::Right;

const MODEL: &str = "ir.attachment";
/// Everything but the contents.
const FIELDS: [&str; 13] = [
    "name",
    "mimetype",
    "file_size",
    "checksum",
    "type",
    "url",
    "public",
    "res_model",
    "res_id",
    "res_field",
    "create_date",
    "create_uid",
    "description",
];

/// What stands about a file in Odoo.
#[derive(Debug, Clone, Default)]
pub struct Attachment {
    pub id: i64,
    pub name: String,
    pub mimetype: String,
    pub bytes: u64,
    /// SHA-1, as Odoo computes it; none for links.
    pub checksum: Option<String>,
    /// Set for links, which have no content.
    pub link: Option<String>,
    /// Readable by everybody who has its address.
    pub public: bool,
    /// The record that it hangs on.
    pub record: Option<(String, i64)>,
    /// The binary field that it is the content of.
    pub field: Option<String>,
    /// UTC.
    pub created: String,
    pub created_by: Option<String>,
    pub description: Option<String>,
    /// Odoo serves it under this path.
    served: Option<String>,
}
/// A file to attach.
#[derive(Debug, Clone)]
pub struct NewAttachment {
    pub model: String,
    pub id: i64,
    pub name: String,
    pub mimetype: String,
    /// In base64, with padding.
    pub content: String,
}

fn attachment(row: &Map<String, Value>, names: bool) -> Attachment {
    let get = |field: &str| row.get(field).unwrap_or(&Value::Null);
    let some = |field: &str| Some(text(get(field))).filter(|t| !t.is_empty());
    let link = get("type") == "url";
    let record = some("res_model").zip(get("res_id").as_i64().filter(|id| *id > 0));
    Attachment {
        id: get("id").as_i64().unwrap_or_default(),
        name: text(get("name")),
        mimetype: text(get("mimetype")),
        bytes: get("file_size").as_u64().unwrap_or_default(),
        checksum: some("checksum"),
        link: some("url").filter(|_| link),
        public: get("public").as_bool().unwrap_or_default(),
        record,
        field: some("res_field"),
        created: text(get("create_date")),
        created_by: one_name(get("create_uid")).or_else(|| one(get("create_uid")).map(|id| id.to_string())).filter(|_| names),
        description: some("description"),
        served: some("url").filter(|_| !link),
    }
}
fn missing(id: i64) -> Refusal {
    refusal(Code::NotFound, format!("There is no attachment {id} that this credential and this key may use."))
        .next("list_attachments tells those of a record.")
}

impl Reader {
    /// Whether the key may read attachments of this model, or do something with them that changes its records.
    fn attachable(&self, model: &str, right: Option<Right>) -> Result<(), Refusal> {
        self.scope().readable(model)?;
        if right.is_some() {
            self.scope().permitted(model, Right::Write)?;
        }
        if model == MODEL {
            return Err(refusal(Code::ModelDenied, "Attachments are not attached to attachments here.")
                .next("Name the record that the file hangs on."));
        }
        self.attachments_ruled(right)
    }
    /// What the organization's rules say about attachments themselves.
    fn attachments_ruled(&self, right: Option<Right>) -> Result<(), Refusal> {
        let scope = self.scope();
        let Some(rules) = &scope.rules else { return Ok(()) };
        let may = |rule: &kernel::resource::Rule| match right {
            None => rule.read,
            Some(Right::Create) => rule.create,
            Some(Right::Write) => rule.write,
            Some(Right::Delete) => rule.delete,
        };
        if rules.models().any(|(_, rule)| !rule.fields.is_all()) {
            return Err(refusal(
                Code::ModelDenied,
                "Fields are hidden from this key, and so are attachments: files may repeat them.",
            )
            .next("Use search_read and read; they keep to it."));
        }
        let limited = right.is_some() && scope.filtered(MODEL);
        if rules.refuses(MODEL) || rules.of(MODEL).is_some_and(|rule| !may(rule)) || limited {
            return Err(refusal(Code::ModelDenied, "The organization's resources do not allow that with attachments.")
                .next("An administrator of the organization decides it with ocore resource."));
        }
        Ok(())
    }
    /// What is sent here keeps to hidden records: the fields are those above, which tell no others, and each attachment's record is
    /// looked for as the caller.
    async fn kept_or_tell<T: DeserializeOwned>(&self, request: &Request<'_>) -> Result<T> {
        match self.send_kept(request).await {
            Ok(answer) => Ok(answer),
            Err(failure) => Err(self.tell(failure, MODEL, request.method).await),
        }
    }
    async fn found(&self, domain: &Value, limit: u64) -> Result<Vec<Map<String, Value>>> {
        let context = Context { active_test: Some(false), bin_size: Some(true), ..self.sent().clone() };
        let args = [Arg::Value(domain)];
        let kwargs = [("fields", Arg::Words(&FIELDS)), ("limit", Arg::Number(limit)), ("order", Arg::Text("id desc"))];
        let request = Request {
            model: MODEL,
            method: "search_read",
            ids: None,
            args: &args,
            kwargs: &kwargs,
            context: &context,
            write: false,
        };
        self.kept_or_tell(&request).await
    }
    /// The record that an attachment is for, when it is there for the caller.
    pub async fn attachment_target(&self, model: &str, id: i64) -> Result<String> {
        self.attachable(model, None)?;
        self.fields(model).await?;
        let named = self.names(model, &[id]).await?;
        named.into_iter().next().map(|(_, name)| name).ok_or_else(|| {
            refusal(Code::NotFound, format!("There is no {model} {id} that this credential may read."))
                .next("Search for the record again.")
                .into()
        })
    }
    /// Attachments of a record, newest first; `mimetype` is one, or a kind such as `image/*`.
    pub async fn attachments(&self, model: &str, id: i64, mimetype: Option<&str>, limit: u64) -> Result<Vec<Attachment>> {
        self.attachable(model, None)?;
        if self.visible(model, &[id]).await?.is_empty() {
            return Ok(Vec::new());
        }
        let mut domain = vec![json!(["res_model", "=", model]), json!(["res_id", "=", id]), json!(["res_field", "=", false])];
        match mimetype.map(|m| (m, m.strip_suffix('*'))) {
            None => {}
            Some((_, Some(kind))) => domain.push(json!(["mimetype", "=like", format!("{kind}%")])),
            Some((exact, None)) => domain.push(json!(["mimetype", "=", exact])),
        }
        let domain = Value::Array(domain);
        let domain = self.kept(MODEL, &domain);
        let rows: Vec<Map<String, Value>> = self.found(&domain, limit).await?;
        let names = self.scope().shows_names_of("res.users");
        Ok(rows.iter().map(|row| attachment(row, names)).collect())
    }
    /// One attachment, when the key may read what it hangs on.
    pub async fn attachment(&self, id: i64) -> Result<Attachment> {
        self.attachments_ruled(None)?;
        let domain = json!([["id", "=", id]]);
        let domain = self.kept(MODEL, &domain);
        let rows: Vec<Map<String, Value>> = self.found(&domain, 1).await?;
        let names = self.scope().shows_names_of("res.users");
        let found = rows.first().map(|row| attachment(row, names)).ok_or_else(|| missing(id))?;
        self.may_use(&found, None).await?;
        Ok(found)
    }
    async fn may_use(&self, found: &Attachment, right: Option<Right>) -> Result<()> {
        let Some((model, record)) = &found.record else {
            // What a limited key may not use is not there for it.
            if self.scope().restricted {
                return Err(missing(found.id).into());
            }
            return Err(refusal(
                Code::RecordDenied,
                format!(
                    "The attachment {} ({}) hangs on no record: a draft, or a file that Odoo itself serves.",
                    found.id, found.name
                ),
            )
            .next("Name an attachment of a record; list_attachments tells those.")
            .into());
        };
        if !self.scope().lists(model) {
            return Err(missing(found.id).into());
        }
        self.attachable(model, right)?;
        // Odoo gives public files to everybody, and administrators those of records that are gone.
        if self.visible(model, &[*record]).await?.is_empty() {
            return Err(missing(found.id).into());
        }
        if let Some(field) = &found.field {
            return Err(refusal(
                Code::RecordDenied,
                format!("The attachment {} is the content of the field {field} of {model} {record}.", found.id),
            )
            .next("Use the tools read and write on that field instead.")
            .into());
        }
        if found.served.as_deref().or(found.link.as_deref()).is_some_and(|url| url.starts_with('/')) {
            return Err(refusal(
                Code::RecordDenied,
                format!("The attachment {} ({}) is a file that Odoo itself serves, such as an asset.", found.id, found.name),
            )
            .next("clear_system_cache with the target assets has Odoo make its assets again.")
            .into());
        }
        Ok(())
    }
    /// The content of a file.
    pub async fn attachment_content(&self, found: &Attachment) -> Result<Vec<u8>> {
        #[derive(Deserialize)]
        struct Row {
            #[serde(default)]
            datas: Value,
        }
        self.may_use(found, None).await?;
        // Whatever the call's context says: the content is what is asked for, not its size.
        let context = Context { bin_size: None, ..self.sent().clone() };
        let (ids, args) = ([found.id], [Arg::Words(&["datas"])]);
        let request =
            Request { model: MODEL, method: "read", ids: Some(&ids), args: &args, kwargs: &[], context: &context, write: false };
        let rows: Vec<Row> = self.kept_or_tell(&request).await?;
        let Some(row) = rows.first() else { return Err(missing(found.id).into()) };
        let encoded = row.datas.as_str().unwrap_or_default();
        let lost = || {
            refusal(
                Code::OdooError,
                format!("Odoo knows the attachment {} ({} bytes), but does not give its content.", found.name, found.bytes),
            )
            .next("Its file is missing in Odoo's filestore; odoo_logs tells more.")
        };
        if encoded.is_empty() && found.bytes > 0 {
            return Err(lost().into());
        }
        let plain: Vec<u8> = encoded.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
        base64::prelude::BASE64_STANDARD.decode(plain).map_err(|_| lost().into())
    }
    /// Whether an attachment may be deleted: what it is, and whether the key may change its record.
    pub async fn deletable_attachment(&self, id: i64) -> Result<Attachment> {
        let found = self.attachment(id).await?;
        self.may_use(&found, Some(Right::Delete)).await?;
        Ok(found)
    }
    /// Whether a file may be attached to the record; gives the record's name.
    pub async fn may_attach(&self, model: &str, id: i64) -> Result<String> {
        self.attachable(model, Some(Right::Create))?;
        self.attachment_target(model, id).await
    }
}
impl Writer {
    fn may_change_attachments(&self) -> Result<()> {
        if self.scope().lifts.contains(&MODEL) {
            return Ok(());
        }
        Err(Fault::failed("a tool that does not lift ir.attachment changes attachments"))
    }
    /// Attaches a file: a plain binary, not public, and text where a browser would run it.
    pub async fn attach(&self, new: NewAttachment) -> Result<i64> {
        self.may_change_attachments()?;
        self.may_attach(&new.model, new.id).await?;
        let check = format!("list_attachments of {} {} tells whether {:?} is there.", new.model, new.id, new.name);
        let values = Map::from_iter([
            ("name".to_owned(), Value::from(new.name)),
            ("type".to_owned(), "binary".into()),
            ("public".to_owned(), false.into()),
            ("res_model".to_owned(), new.model.into()),
            ("res_id".to_owned(), new.id.into()),
            ("mimetype".to_owned(), new.mimetype.into()),
            ("datas".to_owned(), new.content.into()),
        ]);
        let rows = [values];
        let args = [Arg::Objects(&rows)];
        let context = Context { bin_size: None, attachments_mime_plainxml: Some(true), ..self.sent().clone() };
        let request =
            Request { model: MODEL, method: "create", ids: None, args: &args, kwargs: &[], context: &context, write: true };
        let made: OneOrMany = match self.kept_or_tell(&request).await {
            Err(Fault::Unknown { message, .. }) => return Err(Fault::unknown(message, check)),
            other => other?,
        };
        made.into_vec().first().copied().ok_or_else(|| Fault::unknown("Odoo answered without an id.", check))
    }
    /// Deletes a file that [`Reader::deletable_attachment`] gave; it is looked at again first.
    pub async fn delete_attachment(&self, id: i64) -> Result<Attachment> {
        self.may_change_attachments()?;
        let found = self.deletable_attachment(id).await?;
        let ids = [id];
        let request = Request {
            model: MODEL,
            method: "unlink",
            ids: Some(&ids),
            args: &[],
            kwargs: &[],
            context: self.sent(),
            write: true,
        };
        self.kept_or_tell::<serde::de::IgnoredAny>(&request).await?;
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_files_and_what_odoo_serves_are_told_apart() {
        let of = |row: Value| attachment(row.as_object().unwrap(), true);
        let link = of(json!({"id": 1, "type": "url", "url": "https://x", "name": "n", "mimetype": false, "file_size": 0}));
        assert_eq!((link.link.as_deref(), link.served), (Some("https://x"), None));
        let asset = of(json!({"id": 2, "type": "binary", "url": "/web/assets/1/x.css", "res_model": "ir.ui.view", "res_id": 0}));
        assert_eq!((asset.link, asset.served.as_deref(), asset.record), (None, Some("/web/assets/1/x.css"), None));
        let file =
            of(json!({"id": 3, "type": "binary", "url": false, "res_model": "res.partner", "res_id": 7, "res_field": false,
            "file_size": 12, "checksum": "ab", "create_uid": [2, "Admin"]}));
        assert_eq!((file.record, file.bytes, file.field), (Some(("res.partner".to_owned(), 7)), 12, None));
        assert_eq!(file.created_by.as_deref(), Some("Admin"));
    }
}
