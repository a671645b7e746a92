use backends::odoo::{Reader, Translated, Translation};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::list_translations::kind_of;
use crate::{
    args::RecordId,
    contract::{self as tool, *},
};

/// Translate one value of a record into an active language. list_translations tells what there is.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateTranslation {
    model: String,
    id: RecordId,
    field: String,
    /// Like fr_FR
    lang: String,
    /// "" takes the translation away
    value: String,
    /// The term, for fields translated by terms
    source: Option<String>,
}
#[derive(Debug, Serialize, JsonSchema)]
pub struct Updated {
    pub model: String,
    pub id: i64,
    pub field: String,
    pub lang: String,
    /// whole or term.
    pub kind: &'static str,
    pub source: String,
    pub old_value: String,
    /// Read back.
    pub value: String,
    /// Whether that is another text than the source.
    pub translated: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}
impl Answer for Updated {
    fn affected(&self) -> Option<u64> {
        Some(1)
    }
}

/// Characters of a text in a plan.
const SHOWN: usize = 300;
fn excerpt(text: &str) -> String {
    if text.chars().count() <= SHOWN { text.to_owned() } else { format!("{}…", text.chars().take(SHOWN).collect::<String>()) }
}
impl UpdateTranslation {
    async fn now(&self, odoo: &Reader) -> Result<Translation> {
        odoo.translation(&self.model, self.id.0, &self.field, &self.lang, self.source.as_deref(), &self.value).await
    }
}
impl WriteTool for UpdateTranslation {
    type Answer = Updated;
    async fn plan(&self, cx: &ReadCx) -> Result<Plan> {
        let now = self.now(cx.odoo()?).await?;
        let of = format!("{}.{} of {} (id {})", self.model, self.field, now.record, self.id.0);
        let verb = if self.value.is_empty() { "Would take away" } else { "Would set" };
        let what =
            if now.kind == Translated::Terms { format!(" of the term {:?} in", excerpt(&now.source)) } else { " of".to_owned() };
        let old = if now.translated {
            format!("now: {}", excerpt(&now.value))
        } else {
            format!("now untranslated: {}", excerpt(&now.value))
        };
        let new = if self.value.is_empty() {
            format!("then: {}", excerpt(&now.source))
        } else {
            format!("then: {}", excerpt(&self.value))
        };
        let mut warnings = Vec::new();
        if now.source.is_empty() {
            warnings.push("The field is empty in English; Odoo may show this translation in every language.".to_owned());
        }
        Ok(Plan {
            summary: format!("{verb} the {} ({}) translation{what} {of}", now.language.name, now.language.code),
            affected: 1,
            examples: vec![old, new],
            warnings,
            ids: vec![self.id.0],
        })
    }
    async fn call(self, cx: &WriteCx) -> Result<Updated> {
        let odoo = cx.odoo()?;
        let before = self.now(odoo).await?;
        odoo.translate(&self.model, self.id.0, &self.field, &before, &self.value).await?;
        let mut updated = Updated {
            model: self.model.clone(),
            id: self.id.0,
            field: self.field.clone(),
            lang: before.language.code.clone(),
            kind: kind_of(before.kind),
            source: before.source.clone(),
            old_value: before.value,
            value: self.value.clone(),
            translated: !self.value.is_empty(),
            notes: Vec::new(),
        };
        // Done: what cannot be read back is a note, never an error.
        let term = (before.kind == Translated::Terms).then_some(before.source.as_str());
        match odoo.translation(&self.model, self.id.0, &self.field, &self.lang, term, "").await {
            Ok(after) => {
                let wanted = if self.value.is_empty() { &before.source } else { &self.value };
                if after.value != *wanted {
                    updated.notes.push("Odoo keeps another text than the one that was sent: it cleans HTML, and refuses a translation that does not have the source's form.".to_owned());
                }
                updated.value = after.value;
                updated.translated = after.translated;
            }
            Err(fault) => {
                updated.notes.push(format!("It is written, but could not be read back: {}", fault.public().message));
            }
        }
        Ok(updated)
    }
}
pub const TOOL: Tool = tool::write::<UpdateTranslation>("Update a translation");
