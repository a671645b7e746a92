use backends::odoo::Attachment;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::list_attachments::File;
use crate::{
    args::RecordId,
    blobs,
    contract::{self as tool, *},
};

/// Delete an attached file. Cannot be undone.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeleteAttachment {
    /// From list_attachments
    attachment_id: RecordId,
}
#[derive(Debug, Serialize, JsonSchema)]
pub struct Deleted {
    pub deleted: bool,
    /// As it was.
    pub attachment: File,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record_id: Option<i64>,
}
impl Answer for Deleted {
    fn affected(&self) -> Option<u64> {
        Some(1)
    }
}
fn described(file: &Attachment) -> String {
    let kind = if file.link.is_some() { "a link".to_owned() } else { format!("{}, {}", file.mimetype, blobs::size(file.bytes)) };
    format!("{} ({kind})", file.name)
}
impl WriteTool for DeleteAttachment {
    type Answer = Deleted;
    async fn plan(&self, cx: &ReadCx) -> Result<Plan> {
        let odoo = cx.odoo()?;
        let file = odoo.deletable_attachment(self.attachment_id.0).await?;
        let of = match &file.record {
            Some((model, id)) => match odoo.names(model, &[*id]).await.ok().and_then(|n| n.into_iter().next()) {
                Some((_, name)) => format!(" of {model} {id} ({name})"),
                None => format!(" of {model} {id}"),
            },
            None => ", which hangs on no record".to_owned(),
        };
        Ok(Plan {
            summary: format!("Would delete the attachment {} {}{of}", file.id, described(&file)),
            affected: 1,
            examples: vec![described(&file)],
            warnings: Vec::new(),
            ids: vec![file.id],
        })
    }
    async fn call(self, cx: &WriteCx) -> Result<Deleted> {
        let file = cx.odoo()?.delete_attachment(self.attachment_id.0).await?;
        let (model, record_id) = file.record.clone().unzip();
        Ok(Deleted { deleted: true, attachment: file.into(), model, record_id })
    }
}
pub const TOOL: Tool = tool::destructive::<DeleteAttachment>("Delete an attached file").lifting(&["ir.attachment"]);
