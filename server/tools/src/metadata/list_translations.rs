use backends::odoo::{Translated, TranslationQuery, TranslationRow};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    args::Ids,
    caps,
    contract::{self as tool, *},
};

/// Translations of records' values, by record, field and language: source (English) and value, translated or not.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListTranslations {
    model: String,
    #[serde(default)]
    ids: Ids,
    /// Default all
    field: Option<String>,
    /// Like fr_FR; default all active
    lang: Option<String>,
    /// Default 100
    limit: Option<u64>,
}
#[derive(Debug, Serialize, JsonSchema)]
pub struct Translations {
    pub model: String,
    pub count: usize,
    pub translations: Vec<Listed>,
    /// The fields and languages that were looked at.
    pub fields: Vec<String>,
    pub languages: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing_ids: Vec<i64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}
#[derive(Debug, Serialize, JsonSchema)]
pub struct Listed {
    pub id: i64,
    pub field: String,
    pub lang: String,
    /// whole: one value per language. term: a part of a text; update_translation wants its source.
    pub kind: &'static str,
    pub source: String,
    /// What is shown in that language; the source where there is no translation.
    pub value: String,
    /// Whether that is another text than the source.
    pub translated: bool,
}
impl Answer for Translations {
    const LIST: Option<&'static str> = Some("translations");
    fn columns(&self) -> Vec<String> {
        ["id", "field", "lang", "source", "value", "translated"].map(str::to_owned).into()
    }
    fn affected(&self) -> Option<u64> {
        Some(self.count as u64)
    }
}

pub const fn kind_of(kind: Translated) -> &'static str {
    match kind {
        Translated::Whole => "whole",
        Translated::Terms => "term",
    }
}
/// Characters of one text; whole pages of HTML may be a value.
const TEXT: usize = 4_000;
fn cut(text: String, some_cut: &mut bool) -> String {
    if text.chars().count() <= TEXT {
        return text;
    }
    *some_cut = true;
    format!("{}…", text.chars().take(TEXT).collect::<String>())
}
impl ReadTool for ListTranslations {
    type Answer = Translations;
    async fn call(self, cx: &ReadCx) -> Result<Translations> {
        let odoo = cx.odoo()?;
        let (limit, note) = caps::limit(odoo.scope(), self.limit, 100)?;
        let ids = if self.ids.0.is_empty() { Vec::new() } else { caps::named(odoo, &self.ids)? };
        let query = TranslationQuery { ids, field: self.field, lang: self.lang, limit };
        let told = odoo.translations(&self.model, &query).await?;
        let mut notes: Vec<String> = note.into_iter().collect();
        if told.fields.is_empty() {
            notes.push(format!("No field of {} is translated.", self.model));
        }
        if told.languages.is_empty() {
            notes.push("No language but en_US is active in this database.".to_owned());
        }
        if let Some(id) = told.more_after {
            notes.push(format!("There is more after the record {id}: name ids, field or lang, or raise limit."));
        }
        if let Some(id) = told.unsplit.first() {
            let many = caps::records(told.unsplit.len());
            notes.push(format!("Odoo has not split a text of {many} into terms yet (the first is id {id}): update_translation does, with a sentence of it as source."));
        }
        let mut some_cut = false;
        let mut listed = |row: TranslationRow| Listed {
            id: row.id,
            field: row.field,
            lang: row.lang,
            kind: kind_of(row.kind),
            source: cut(row.source, &mut some_cut),
            value: cut(row.value, &mut some_cut),
            translated: row.translated,
        };
        let translations: Vec<Listed> = told.rows.into_iter().map(&mut listed).collect();
        if some_cut {
            notes.push(format!("Texts are cut at {TEXT} characters; read tells them whole (context lang)."));
        }
        Ok(Translations {
            model: self.model,
            count: translations.len(),
            translations,
            fields: told.fields,
            languages: told.languages,
            missing_ids: told.missing,
            notes,
        })
    }
}
pub const TOOL: Tool = tool::read::<ListTranslations>("List translations");
