use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::list_attachments::File;
use crate::{
    args::RecordId,
    blobs,
    contract::{self as tool, *},
};

/// Get an attached file of at most 10 MB: pictures to look at, other files in base64. Of a link its address.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DownloadAttachment {
    /// From list_attachments
    attachment_id: RecordId,
}
#[derive(Debug, Serialize, JsonSchema)]
pub struct Downloaded {
    pub attachment: File,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record_id: Option<i64>,
    /// The file in base64; absent for pictures, which come beside this, and for links.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    #[serde(skip)]
    picture: Option<Content>,
}
impl Answer for Downloaded {
    fn affected(&self) -> Option<u64> {
        Some(1)
    }
    fn content(&mut self) -> Vec<Content> {
        self.picture.take().into_iter().collect()
    }
}
impl ReadTool for DownloadAttachment {
    type Answer = Downloaded;
    async fn call(self, cx: &ReadCx) -> Result<Downloaded> {
        let odoo = cx.odoo()?;
        let id = self.attachment_id.0;
        let found = odoo.attachment(id).await?;
        let (model, record_id) = found.record.clone().unzip();
        let mut answer = Downloaded {
            attachment: File::default(),
            model,
            record_id,
            content: None,
            sha256: None,
            notes: Vec::new(),
            picture: None,
        };
        if found.link.is_some() {
            answer.notes.push("This is a link; what it leads to is not fetched.".to_owned());
            answer.attachment = found.into();
            return Ok(answer);
        }
        if found.bytes > blobs::MOST_BYTES as u64 {
            return Err(too_large(id, found.bytes).into());
        }
        let bytes = odoo.attachment_content(&found).await?;
        if bytes.len() > blobs::MOST_BYTES {
            return Err(too_large(id, bytes.len() as u64).into());
        }
        answer.sha256 = Some(blobs::sha256(&bytes));
        answer.attachment = File { size: bytes.len() as u64, ..found.into() };
        match blobs::picture(&answer.attachment.mimetype, &bytes) {
            Some(mime) => answer.picture = Some(Content { mime: mime.to_owned(), bytes }),
            None => answer.content = Some(blobs::encode(&bytes)),
        }
        Ok(answer)
    }
}
fn too_large(id: i64, bytes: u64) -> Refusal {
    refusal(
        Code::TooLarge,
        format!("The attachment {id} has {}; at most {} travel here.", blobs::size(bytes), blobs::size(blobs::MOST_BYTES as u64)),
    )
    .next(format!("A person who is signed in to Odoo gets it at /web/content/{id}?download=true."))
}
/// Base64 takes a third more, and a little is told beside it.
const KILOBYTES: usize = blobs::MOST_BYTES / 1_024 * 4 / 3 + 64;
pub const TOOL: Tool = tool::read::<DownloadAttachment>("Get an attached file").response_kb(KILOBYTES);
