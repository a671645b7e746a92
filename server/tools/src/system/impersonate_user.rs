use kernel::{ExposeSecret as _, Role};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    args::RecordId,
    contract::{self as tool, *},
    users::called,
};

/// Make a one-time link that opens the instance in a browser as an Odoo user, to see what that user sees. The link lives for a minute and opens once, for the owner of the calling key, who signs in to ocore; the visit lasts for at most an hour. Everything done in it is the user's in Odoo and yours in ocore's audit. Odoo's own users are protected.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ImpersonateUser {
    user_id: RecordId,
    /// Why; kept in the audit. 5 to 300 characters
    reason: String,
}
#[derive(Debug, Serialize, JsonSchema)]
pub struct Link {
    /// For the owner of the key alone. Opened once.
    pub url: String,
    pub valid_until: String,
    /// The Odoo user.
    pub login: String,
    /// How long the visit lasts at most, from when the link is opened.
    pub visit_minutes: i64,
}
impl Answer for Link {}
impl ImpersonateUser {
    fn reason(&self) -> Result<&str> {
        let reason = self.reason.trim();
        if !(5..=300).contains(&reason.chars().count()) || reason.chars().any(char::is_control) {
            return Err(refusal(Code::InvalidArgument, "reason: it has 5 to 300 characters, on one line.")
                .next("Say in a sentence why this user's view is needed: it is kept in the audit.")
                .into());
        }
        Ok(reason)
    }
}
/// Who changes rights in Odoo is opened by who may change everything in ocore.
fn enough(cx: &ReadCx, administrator: bool) -> Result<()> {
    if administrator && cx.role() < Role::Admin {
        return Err(refusal(
            Code::PermissionDenied,
            "This user administers Odoo: only an admin or owner of the organization may act as it.",
        )
        .next("Choose another user, or ask an admin.")
        .into());
    }
    Ok(())
}
impl WriteTool for ImpersonateUser {
    type Answer = Link;
    async fn plan(&self, cx: &ReadCx) -> Result<Plan> {
        self.reason()?;
        cx.impersonations()?.person()?;
        cx.container()?;
        let odoo = cx.odoo()?;
        let user = odoo.user(self.user_id.0).await?;
        odoo.not_protected(&user, "acted as").await?;
        let mut warnings =
            vec!["What is done in the visit is done by this user as far as Odoo knows, mails it sends included.".to_owned()];
        if !user.active {
            warnings.push("The user is archived: the run would be refused.".to_owned());
        }
        Ok(Plan {
            summary: format!("Would make a link that opens the instance as {}", called(&user)),
            affected: 0,
            examples: vec![called(&user)],
            warnings,
            ids: vec![user.id],
        })
    }
    async fn call(self, cx: &WriteCx) -> Result<Link> {
        let reason = self.reason()?;
        let links = cx.impersonations()?;
        let person = links.person()?;
        let odoo = cx.odoo()?;
        let user = odoo.user(self.user_id.0).await?;
        odoo.not_protected(&user, "acted as").await?;
        let session = WriteCx::container(cx)?.user_session(user.id).await?;
        // Ended with this call, unless a link keeps it.
        odoo.lend_session(&session.session)?;
        enough(cx, session.administrator)?;
        let cookie = format!("session_id={}", session.session.expose_secret()).into();
        let link = store::impersonations::As {
            odoo_user: user.id,
            odoo_login: &session.login,
            landing: session.landing,
            reason,
            session: &cookie,
        };
        let (url, until) = links.create(person, link).await?;
        odoo.keep_session();
        Ok(Link {
            url: url.expose_secret().to_owned(),
            valid_until: kernel::time_text(until),
            login: session.login,
            visit_minutes: store::impersonations::VISIT.num_minutes(),
        })
    }
}
pub const TOOL: Tool = tool::write::<ImpersonateUser>("Act as an Odoo user").lifting(&["res.users"]);
