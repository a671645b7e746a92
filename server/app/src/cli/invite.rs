//! `ocore invite …`
use admin::invites::{self, InviteRow, Listed, MOST_USES, NewInvite};
use clap::{Args, Subcommand};
use kernel::{Code, InviteId, Role, TimeDelta, Timestamp, refusal, time_text};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use super::{Given, key::Limits};
use crate::{
    failure::Result,
    terminal::{self, Shown, printable},
};

#[derive(Debug, Subcommand)]
pub enum Invite {
    /// Makes an invite and shows its link once, on the last line
    Create(Box<Create>),
    /// Lists the invites, newest first
    List {
        /// The organization
        #[arg(value_name = "ORG")]
        org: String,
    },
    /// Lets nobody in by it any more; who has accepted it stays and keeps the key
    Revoke {
        /// The invite's id, as the list shows it
        #[arg(value_name = "ID")]
        id: String,
        /// The organization
        #[arg(long, value_name = "SLUG")]
        org: String,
    },
    /// Has another administrator vouch for an invite and the keys that it made
    Vouch {
        /// The invite's id, as the list shows it
        #[arg(value_name = "ID")]
        id: String,
        /// The organization
        #[arg(long, value_name = "SLUG")]
        org: String,
        /// The administrator or owner
        #[arg(long, value_name = "EMAIL")]
        by: String,
    },
}

#[derive(Debug, Args)]
pub struct Create {
    /// The organization
    #[arg(value_name = "ORG")]
    org: String,
    /// Names it in lists; its keys are called so too
    #[arg(long)]
    label: String,
    /// The administrator or owner who vouches for it: it gives at most what they may do, and dies with their role
    #[arg(long, value_name = "EMAIL")]
    by: String,
    /// The role of who joins by it, viewer or member; it never changes a member's
    #[arg(long, default_value = "viewer")]
    role: Role,
    /// How many people may accept it, 1 to 100
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(i64).range(1..=MOST_USES))]
    uses: i64,
    /// For how many days, 1 to 30
    #[arg(long, default_value_t = 7, value_name = "N", value_parser = clap::value_parser!(i64).range(1..=30))]
    days: i64,
    #[command(flatten)]
    limits: Limits,
}

impl Invite {
    pub async fn run(self, given: &Given) -> Result<Shown> {
        let (settings, base) = given.open().await?;
        let (admin, by) = (&base.admin, &base.by);
        let now = admin.sources.now();
        let shown = match self {
            Self::Create(create) => {
                let Create { org, label, by: voucher, role, uses, days, limits } = *create;
                let permissions = limits.permissions(&base, &org).await?;
                let notes = limits.looked_up(&base, &org, &permissions).await?;
                let new = NewInvite {
                    org,
                    vouched_by: Some(voucher.clone()),
                    role,
                    label,
                    permissions,
                    uses,
                    life: TimeDelta::days(days),
                };
                let made = invites::make(admin, by, &new).await?;
                let link = settings.link(&invites::path(made.text.expose_secret()));
                let mut text = format!(
                    "Made the invite \"{}\" into {}, role {}, for {}, until {}. The link is shown once: send it to nobody else.",
                    made.row.label,
                    new.org,
                    made.row.role,
                    people(made.row.max_uses),
                    time_text(made.row.expires_at),
                );
                for line in notes.iter().map(String::as_str).chain([link.as_str()]) {
                    text.push('\n');
                    text.push_str(line);
                }
                let mut value = as_json(&made.row, &new.org, &voucher, now);
                if let Some(object) = value.as_object_mut() {
                    object.insert("link".into(), json!(link));
                    object.insert("notes".into(), json!(notes));
                }
                Shown::new(text, value)
            }
            Self::List { org } => {
                let found = invites::list(admin, by, &org).await?;
                let rows: Vec<Vec<String>> = found.iter().map(|listed| row(listed, now)).collect();
                let heads = ["ID", "LABEL", "ROLE", "USED", "UNTIL", "STATE", "VOUCHED FOR BY"];
                let none = "There is no invite yet. Make one: ocore invite create ORG --label LABEL --by EMAIL";
                let value = found.iter().map(|listed| {
                    let mut value = as_json(&listed.row, &org, &listed.vouched_by, now);
                    if let Some(object) = value.as_object_mut() {
                        object.insert("vouched".into(), json!(listed.vouched));
                    }
                    value
                });
                Shown::new(terminal::table(&heads, &rows, none), value.collect())
            }
            Self::Revoke { id, org } => {
                let row = invites::revoke(admin, by, &org, parsed(&id)?).await?;
                let text = format!("Revoked the invite \"{}\". Who has accepted it stays and keeps the key.", row.label);
                Shown::new(text, json!({ "id": id, "label": row.label, "revoked_at": row.revoked_at.map(time_text) }))
            }
            Self::Vouch { id, org, by: voucher } => {
                let row = invites::vouch(admin, by, &org, parsed(&id)?, Some(&voucher)).await?;
                let text = format!("{} vouches for the invite \"{}\" and its keys now.", printable(&voucher), row.label);
                Shown::new(text, json!({ "id": id, "label": row.label, "vouched_by": voucher }))
            }
        };
        base.close().await;
        Ok(shown)
    }
}

fn parsed(id: &str) -> Result<InviteId> {
    // Perhaps somebody pasted the link itself: it must not come back.
    id.trim().to_ascii_uppercase().parse().map_err(|_| {
        refusal(Code::InvalidArgument, "This is no id of an invite.").next("ocore invite list ORG tells them.").into()
    })
}

fn people(count: i64) -> String {
    if count == 1 { "one person".to_owned() } else { format!("{count} people") }
}

fn state(row: &InviteRow, now: Timestamp) -> &'static str {
    if row.revoked_at.is_some() {
        "revoked"
    } else if row.used >= row.max_uses {
        "used up"
    } else if row.expires_at <= now {
        "expired"
    } else if row.permissions.is_none() {
        "unreadable"
    } else {
        "open"
    }
}
fn row(listed: &Listed, now: Timestamp) -> Vec<String> {
    let Listed { row, vouched_by, vouched } = listed;
    vec![
        row.id.to_string(),
        printable(&row.label),
        row.role.to_string(),
        format!("{} of {}", row.used, row.max_uses),
        time_text(row.expires_at),
        state(row, now).to_owned(),
        if *vouched { printable(vouched_by) } else { format!("nobody ({} may not invite any more)", printable(vouched_by)) },
    ]
}
fn as_json(row: &InviteRow, org: &str, vouched_by: &str, now: Timestamp) -> Value {
    json!({
        "id": row.id.to_string(),
        "org": org,
        "label": row.label,
        "role": row.role,
        "permissions": row.permissions,
        "uses": row.max_uses,
        "used": row.used,
        "state": state(row, now),
        "vouched_by": vouched_by,
        "created_at": time_text(row.created_at),
        "expires_at": time_text(row.expires_at),
        "revoked_at": row.revoked_at.map(time_text),
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::Cli;

    fn invite() -> InviteRow {
        let sources = kernel::Sources::system();
        InviteRow {
            id: InviteId::new(&sources),
            org: kernel::OrgId::new(&sources),
            vouched_by: kernel::UserId::new(&sources),
            role: Role::Viewer,
            label: "Ben\u{1b}[2J".into(),
            permissions: Some(kernel::Permissions::all()),
            shown: "ocn_abcdef".into(),
            max_uses: 2,
            used: 0,
            created_at: Timestamp::UNIX_EPOCH,
            expires_at: Timestamp::UNIX_EPOCH + TimeDelta::days(7),
            revoked_at: None,
        }
    }

    #[test]
    fn an_invites_state_is_told_in_one_word() {
        let (row, at) = (invite(), |days| Timestamp::UNIX_EPOCH + TimeDelta::days(days));
        assert_eq!((state(&row, at(0)), state(&row, at(7))), ("open", "expired"));
        assert_eq!(state(&InviteRow { used: 2, ..row.clone() }, at(8)), "used up");
        assert_eq!(state(&InviteRow { used: 2, revoked_at: Some(at(1)), ..row.clone() }, at(0)), "revoked");
        assert_eq!(state(&InviteRow { permissions: None, ..row }, at(0)), "unreadable");
    }

    #[test]
    fn a_list_says_who_is_gone_and_nothing_that_moves_the_cursor() {
        let listed = Listed { row: invite(), vouched_by: "ann@example.com".into(), vouched: false };
        let cells = row(&listed, Timestamp::UNIX_EPOCH);
        assert!(cells.iter().any(|cell| cell.contains("nobody (ann@example.com")), "{cells:?}");
        assert!(!cells.concat().contains('\u{1b}'), "{cells:?}");
    }

    #[test]
    fn numbers_out_of_range_are_wrong_use() {
        let line = |more: &[&str]| {
            let words = ["ocore", "invite", "create", "acme", "--label", "x", "--by", "ann@example.com"];
            Cli::try_parse_from(words.iter().chain(more)).is_ok()
        };
        assert!(line(&[]) && line(&["--uses", "100", "--days", "30", "--role", "member", "--categories", ""]));
        for wrong in [["--uses", "0"], ["--uses", "101"], ["--days", "0"], ["--days", "31"], ["--role", "king"]] {
            assert!(!line(&wrong), "{wrong:?}");
        }
    }

    #[test]
    fn a_pasted_link_does_not_come_back() {
        let link = "https://ocore.example.com/oauth/invite/ocn_7Yp2c0sQmF1b9Z";
        let said = format!("{:?}", parsed(link).unwrap_err());
        assert!(!said.contains("7Yp2c0sQmF1b9Z"), "{said}");
    }
}
