use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::list_attachments::File;
use crate::{
    args::RecordId,
    blobs,
    contract::{self as tool, *},
};
use backends::odoo::NewAttachment;

/// Attach a file of at most 10 MB to a record. Pages, drawings in SVG and scripts are stored as plain text.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UploadAttachment {
    model: String,
    id: RecordId,
    /// Like offer.pdf
    name: String,
    /// Base64
    content: String,
    /// Found out when left out
    mimetype: Option<String>,
}
#[derive(Debug, Serialize, JsonSchema)]
pub struct Uploaded {
    pub model: String,
    pub record_id: i64,
    /// The record's name.
    pub record: String,
    pub attachment: File,
    /// Of what was sent.
    pub sha256: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}
impl Answer for Uploaded {
    fn affected(&self) -> Option<u64> {
        Some(1)
    }
}

struct Sent {
    name: String,
    mimetype: String,
    bytes: Vec<u8>,
    notes: Vec<String>,
}
impl UploadAttachment {
    fn sent(&self) -> Result<Sent> {
        let name = blobs::name(&self.name)?;
        let (bytes, told) = blobs::decode(&self.content)?;
        let named = self.mimetype.as_deref().map(str::trim).filter(|m| !m.is_empty());
        if let Some(wrong) = named.filter(|m| !blobs::is_mimetype(m, false)) {
            return Err(refusal(
                Code::InvalidArgument,
                format!("mimetype: {:?} is no type of files.", crate::csv_text::excerpt(wrong)),
            )
            .next("Write it like application/pdf, or leave it out.")
            .into());
        }
        let told = told.filter(|m| blobs::is_mimetype(m, false));
        let named = named.or(told.as_deref());
        let mimetype = blobs::stored_type(&name, named, &bytes);
        let mut notes = Vec::new();
        if name != self.name.trim() {
            notes.push(format!("The file is called {name}: paths and hidden characters are left out of names."));
        }
        if named.is_some_and(|n| !n.eq_ignore_ascii_case(&mimetype)) && mimetype == "text/plain" {
            notes.push("It is stored as text/plain, because a browser would run it.".to_owned());
        }
        Ok(Sent { name, mimetype, bytes, notes })
    }
}
impl WriteTool for UploadAttachment {
    type Answer = Uploaded;
    async fn plan(&self, cx: &ReadCx) -> Result<Plan> {
        let odoo = cx.odoo()?;
        let sent = self.sent()?;
        let record = odoo.may_attach(&self.model, self.id.0).await?;
        let same = odoo.attachments(&self.model, self.id.0, None, 500).await?.into_iter().filter(|a| a.name == sent.name).count();
        let mut warnings = sent.notes;
        if same > 0 {
            warnings.push(format!("The record has a file {} already; both would stay.", sent.name));
        }
        Ok(Plan {
            summary: format!(
                "Would attach {} ({}, {}) to {} {} ({record})",
                sent.name,
                sent.mimetype,
                blobs::size(sent.bytes.len() as u64),
                self.model,
                self.id.0
            ),
            affected: 1,
            examples: vec![sent.name],
            warnings,
            ids: vec![self.id.0],
        })
    }
    async fn call(self, cx: &WriteCx) -> Result<Uploaded> {
        let odoo = cx.odoo()?;
        let Sent { name, mimetype, bytes, mut notes } = self.sent()?;
        let record = odoo.may_attach(&self.model, self.id.0).await?;
        let (size, sha256) = (bytes.len() as u64, blobs::sha256(&bytes));
        let content = blobs::encode(&bytes);
        drop(bytes);
        let new =
            NewAttachment { model: self.model.clone(), id: self.id.0, name: name.clone(), mimetype: mimetype.clone(), content };
        let id = odoo.attach(new).await?;
        // Done: what cannot be read back is a note, never an error.
        let attachment = match odoo.attachment(id).await {
            Ok(found) => {
                if found.bytes != size {
                    notes.push(format!(
                        "Odoo stored {} instead of {}: it makes large pictures smaller.",
                        blobs::size(found.bytes),
                        blobs::size(size)
                    ));
                }
                File::from(found)
            }
            Err(fault) => {
                notes.push(format!("It is attached, but could not be read back: {}", fault.public().message));
                File { id, name, mimetype, size, ..File::default() }
            }
        };
        Ok(Uploaded { model: self.model, record_id: self.id.0, record, attachment, sha256, notes })
    }
}
pub const TOOL: Tool = tool::write::<UploadAttachment>("Attach a file").lifting(&["ir.attachment"]);
