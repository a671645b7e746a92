use backends::odoo::Attachment;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    args::RecordId,
    blobs, caps,
    contract::{self as tool, *},
};

/// List the files attached to a record, newest first, without their contents.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListAttachments {
    model: String,
    id: RecordId,
    /// Like application/pdf or image/*
    mimetype: Option<String>,
    limit: Option<u64>,
}
/// What is told about a file; shared by the tools of the category.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub struct File {
    pub id: i64,
    pub name: String,
    pub mimetype: String,
    /// Bytes.
    pub size: u64,
    /// As Odoo has computed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha1: Option<String>,
    /// For links, which have no content.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Whoever has its address may read it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub public: bool,
    /// UTC.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub created: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}
impl From<Attachment> for File {
    fn from(a: Attachment) -> Self {
        Self {
            id: a.id,
            name: a.name,
            mimetype: a.mimetype,
            size: a.bytes,
            sha1: a.checksum,
            url: a.link,
            public: a.public,
            created: a.created,
            created_by: a.created_by,
            description: a.description,
        }
    }
}
#[derive(Debug, Serialize, JsonSchema)]
pub struct Attachments {
    pub model: String,
    pub id: i64,
    /// The record's name.
    pub record: String,
    pub attachments: Vec<File>,
    pub count: usize,
    pub has_more: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}
impl Answer for Attachments {
    const LIST: Option<&'static str> = Some("attachments");
    fn affected(&self) -> Option<u64> {
        Some(self.attachments.len() as u64)
    }
}
impl ReadTool for ListAttachments {
    type Answer = Attachments;
    async fn call(self, cx: &ReadCx) -> Result<Attachments> {
        let odoo = cx.odoo()?;
        let mimetype = self.mimetype.as_deref().map(|m| m.trim().to_ascii_lowercase());
        if let Some(named) = mimetype.as_deref().filter(|m| !blobs::is_mimetype(m, true)) {
            return Err(refusal(
                Code::InvalidArgument,
                format!("mimetype: {:?} is no type of files.", crate::csv_text::excerpt(named)),
            )
            .next("Write it like application/pdf, or image/* for all of a kind.")
            .into());
        }
        let (limit, note) = caps::limit(odoo.scope(), self.limit, caps::DEFAULT_LIMIT)?;
        let record = odoo.attachment_target(&self.model, self.id.0).await?;
        let mut found = odoo.attachments(&self.model, self.id.0, mimetype.as_deref(), limit + 1).await?;
        let has_more = found.len() as u64 > limit;
        found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        let attachments: Vec<File> = found.into_iter().map(File::from).collect();
        Ok(Attachments {
            model: self.model,
            id: self.id.0,
            record,
            count: attachments.len(),
            attachments,
            has_more,
            notes: note.into_iter().collect(),
        })
    }
}
pub const TOOL: Tool = tool::read::<ListAttachments>("List a record's files");
