//! Every word that a page shows, in English: one module per page. `{}` stands for a name that is put in.
//!
//! Short, concrete, in the reader's terms; sentence case; an error says what happened, why, and what to do.
#![allow(missing_docs, reason = "the text is the documentation")]

/// The name of the product.
pub const PRODUCT: &str = "ocore";
/// The language of this catalogue.
pub const LANG: &str = "en";

/// The frame of every page.
pub mod frame {
    pub const SKIP: &str = "Skip to the content";
    pub const HOME: &str = "ocore, home";
    pub const MISTAKE: &str = "There is a problem with the form";
    pub const MISTAKES: &str = "There are problems with the form";
    pub const ERROR: &str = "Error:";
    pub const COPY: &str = "Copy";
    pub const COPIED: &str = "Copied";
    pub const NOTE_GOOD: &str = "Done:";
    pub const NOTE_CAREFUL: &str = "Careful:";
    pub const NOTE_BAD: &str = "Problem:";
    pub const NOTE_INFO: &str = "Note:";
    pub const NAVIGATION: &str = "Pages";
    pub const AUTHORIZATIONS: &str = "Assistants";
    pub const SESSIONS: &str = "Sessions";
    pub const ACCOUNT: &str = "My account";
    pub const INVITES: &str = "Invites";
    pub const ORGANIZATION: &str = "Organization:";
    pub const CHANGE_ORGANIZATION: &str = ", change";
    pub const NO_ORGANIZATION: &str = "Choose an organization";
    pub const SIGN_OUT: &str = "Sign out";
    pub const SIGNED_IN: &str = "Signed in as {}";
    pub const WHAT_NEXT: &str = "What to do";
    pub const HOME_BUTTON: &str = "Go to ocore";
    pub const CANCEL: &str = "Cancel";
}

/// Times.
pub mod time {
    /// The exact form, for `chrono`.
    pub const MINUTE: &str = "%-d %b %Y, %H:%M UTC";
    /// The exact form of what is not on a full minute.
    pub const SECOND: &str = "%-d %b %Y, %H:%M:%S UTC";

    /// How far away, `seconds` from now: negative is past.
    pub fn relative(seconds: i64) -> String {
        let far = seconds.unsigned_abs();
        let (count, unit) = match far {
            0..5 => return if seconds < 0 { "just now" } else { "now" }.to_owned(),
            5..60 => (far, "second"),
            60..3600 => (far / 60, "minute"),
            3600..86_400 => (far / 3600, "hour"),
            86_400..2_592_000 => (far / 86_400, "day"),
            2_592_000..31_536_000 => (far / 2_592_000, "month"),
            _ => (far / 31_536_000, "year"),
        };
        let plural = if count == 1 { "" } else { "s" };
        if seconds < 0 { format!("{count} {unit}{plural} ago") } else { format!("in {count} {unit}{plural}") }
    }
}

/// What instances are for.
pub mod environment {
    pub const PRODUCTION: &str = "Production";
    pub const STAGING: &str = "Staging";
    pub const DEVELOPMENT: &str = "Development";
}

/// Sign in.
pub mod sign_in {
    pub const TITLE: &str = "Sign in";
    pub const EMAIL: &str = "E-mail";
    pub const PASSWORD: &str = "Password";
    pub const SUBMIT: &str = "Sign in";
    pub const OR: &str = "or";
    pub const PROVIDER: &str = "Continue with {}";
    pub const FORGOT_OPERATOR: &str = "Forgot your password? Ask who runs this ocore for a link to set a new one.";

    pub const THEN_CONSENT: &str = "After this you decide what the assistant that asks may do.";
    pub const THEN_DEVICE: &str = "After this you confirm the code that your terminal or app shows.";
    pub const THEN_INVITE: &str = "After this you see what the invite gives you, and accept it or not.";
    pub const THEN_IMPERSONATE: &str = "After this you see what the one-time link into Odoo does, and open it or not.";

    /// On `email`.
    pub const NO_EMAIL: &str = "Enter the e-mail address of your account.";
    /// On `email`.
    pub const BAD_EMAIL: &str = "This is not an e-mail address. Enter one such as anna@example.com.";
    /// On `password`.
    pub const NO_PASSWORD: &str = "Enter your password.";
    /// On the form; the same whether or not the account exists.
    pub const REFUSED: &str =
        "This e-mail address and password do not belong together. Check both, capital letters too, and try again.";
    /// On the form; the same whether or not the account exists.
    pub fn throttled(minutes: u64) -> String {
        let plural = if minutes == 1 { "" } else { "s" };
        format!(
            "There were too many tries for this account or from this network. Wait {minutes} minute{plural}, then try again. \
             Browsers that are signed in stay so."
        )
    }
    /// On the form.
    pub const DISABLED: &str = "This account is disabled, so it cannot sign in. Ask who runs this ocore to enable it.";
    /// On the form, when a provider did not lead in.
    pub fn provider_refused(name: &str, why: &str) -> String {
        format!("You are not signed in with {name}. {why}")
    }
    /// A notice.
    pub const PASSWORD_CHANGED: &str = "Your password is changed. Sign in with the new one.";
    /// A notice.
    pub const NEEDED: &str = "Sign in to see that page.";
}

/// A one-time link into Odoo.
pub mod impersonate {
    pub const TITLE: &str = "Open Odoo as another user";
    pub const LEAD: &str = "You are about to open {} as {}.";
    pub const INSTANCE: &str = "Instance";
    pub const LOGIN: &str = "Odoo user";
    pub const REASON: &str = "Reason given";
    pub const KEY: &str = "Asked for by";
    pub const KEY_IS: &str = "your key {}";
    pub const VALID: &str = "Link valid until";
    pub const PRODUCTION: &str = "This is production. What you do there changes real data, and there is no undo.";
    pub const RECORDED: &str = "Everything done there is recorded in Odoo under {}, and in ocore under {}.";
    pub const SUBMIT: &str = "Open as {}";
    pub const NOT_YOU: &str = "You did not ask for this? Do not open it, and revoke the key that did. The link ends by itself.";
    /// On the form.
    pub const UNREACHABLE: &str = "Odoo did not answer, so nothing was opened. The link is still good: try again in a moment.";
    /// On the form.
    pub const REFUSED: &str =
        "Odoo did not let this user in, so nothing was opened. Check in Odoo that the user is active, then ask for a new link.";
}

/// The host names of instances.
pub mod instance_pages {
    /// What is told in place of a page of Odoo's.
    #[derive(Debug)]
    pub struct Words {
        pub what: &'static str,
        pub why: &'static str,
        pub next: &'static str,
    }

    pub const OUTSIDE: Words = Words {
        what: "You are not in Odoo here",
        why: "This address shows an Odoo only to who came in by a one-time link, and this browser has no such visit, or not any more.",
        next: "Ask your assistant for a link and open it within a minute, or go to your Odoo's own address.",
    };
    pub const DATABASES: Words = Words {
        what: "The database manager is closed here",
        why: "A one-time link lets you work in one database as one user; copying or dropping databases is not part of it.",
        next: "Use ocore's backup tools, or ask who runs the server.",
    };
    pub const RPC: Words = Words {
        what: "Programs have no way in here",
        why: "This address is for a person's browser. Odoo's interfaces for programs are closed, whatever credentials are sent.",
        next: "Connect the program to ocore with an API key of its own.",
    };
    pub const SIGN_IN: Words = Words {
        what: "You cannot change user here",
        why: "The visit is for the user that the one-time link named. Signing in as another, or becoming the superuser, is not part of it.",
        next: "Go back to Odoo, or ask for a link for the other user.",
    };
    pub const UNREACHABLE: Words = Words {
        what: "Odoo does not answer",
        why: "",
        next: "Try again in a moment. If it lasts, tell who runs the server: ocore's list of instances shows which are down.",
    };
}

/// The first page.
pub mod home {
    pub const TITLE: &str = "You are signed in";
    pub const YOU: &str = "This browser is signed in as {}. One-time links into Odoo that your assistant makes open here.";
    pub const PAGES: &str = "What you can do here";
    pub const PAGES_SAYS: &str = "Instances, members and API keys are looked after with the command line; its guide tells how.";
    pub const ORGANIZATIONS: &str = "Your organizations";
    pub const ORGANIZATIONS_SAYS: &str = "Each has its own Odoo instances and says who may do what with them.";
    pub const CURRENT: &str = "Current";
    pub const CONNECT: &str = "Connect an assistant";
    pub const CONNECT_SAYS: &str =
        "Give this address to Claude, ChatGPT, Cursor or another assistant. It asks you here what it may do.";
    pub const URL: &str = "Address for assistants";
}

/// The end of a one-time link.
pub mod impersonation_over {
    use crate::impersonation_over::Over;

    /// The sentences of one kind.
    #[derive(Debug)]
    pub struct Words {
        pub what: &'static str,
        pub why: &'static str,
        pub next: &'static str,
        pub at: &'static str,
    }

    pub const INSTANCE: &str = "Instance";
    pub const LOGIN: &str = "Odoo user";
    pub const NEXT: &str = "What to do";
    pub const HOME: &str = "Go to ocore";
    pub const SWITCH: &str = "Sign in as someone else";
    pub const NOT_YOURS_WHY_AS: &str = "A one-time link opens only for the owner of the key that asked for it. You are signed in as {}, and that key belongs to someone else.";

    /// What is told of each kind.
    pub const fn words(kind: Over) -> &'static Words {
        match kind {
            Over::Ended => &Words {
                what: "You left Odoo",
                why: "The session that the one-time link opened is over, and its cookie is gone from this browser.",
                next: "Nothing is left to do; this tab can be closed. To go in again, ask your assistant for a new link.",
                at: "Ended",
            },
            Over::Expired => &Words {
                what: "This link has expired",
                why: "A one-time link is good for a minute, and it was not opened in that time. Nothing was opened.",
                next: "Ask your assistant for a new link and open it right away.",
                at: "Expired",
            },
            Over::Used => &Words {
                what: "This link was already used",
                why: "A one-time link opens Odoo once. It was opened before, in this browser or in another.",
                next: "If that was you, ask for a new link to go in again. If it was not, revoke the key that asked for it and tell your administrator: the audit log has the time and the address.",
                at: "Used",
            },
            Over::Revoked => &Words {
                what: "This link was revoked",
                why: "The link, the key that asked for it, or the right to act as this user was taken back before the link was opened.",
                next: "Ask an administrator of your organization why. If it was by mistake, ask your assistant for a new link.",
                at: "Revoked",
            },
            Over::NotYours => &Words {
                what: "This link is not yours",
                why: "A one-time link opens only for the owner of the key that asked for it.",
                next: "If that key is yours under another account, sign in with that account within the minute. Otherwise close this page: nothing was opened.",
                at: "Tried",
            },
            Over::TimedOut => &Words {
                what: "Your time in Odoo is over",
                why: "A session from a one-time link lasts only a limited time. What you saved there is saved; what you had not saved is lost.",
                next: "To go on, ask your assistant for a new link.",
                at: "Ended",
            },
            Over::Unknown => &Words {
                what: "There is no such link",
                why: "The address names no one-time link. It may have been cut when it was copied.",
                next: "Copy the whole link again, or ask your assistant for a new one.",
                at: "Tried",
            },
        }
    }
}

/// The general error page.
pub mod problem {
    use crate::problem::Kind;

    /// The sentences of one kind.
    #[derive(Debug)]
    pub struct Words {
        pub what: &'static str,
        pub why: &'static str,
        pub next: &'static str,
    }

    pub const STATUS: &str = "Error {}";
    pub const NEXT: &str = "What to do";
    pub const REQUEST: &str = "Request id";
    pub const REQUEST_HINT: &str = "Name it when you ask for help: it finds this request in the logs.";
    pub const HOME: &str = "Go to ocore";

    /// The status and the sentences of each kind.
    pub const fn words(kind: Kind) -> (u16, &'static Words) {
        match kind {
            Kind::Malformed => (
                400,
                &Words {
                    what: "This request cannot be read",
                    why: "Something in the address or in the form is not as it should be, so nothing was done.",
                    next: "Go back and try again. If a program sent you here, tell who makes it.",
                },
            ),
            Kind::Stale => (
                403,
                &Words {
                    what: "This form is too old",
                    why: "The form was opened too long ago, before you signed in or out, or it was sent from another site. Nothing was done.",
                    next: "Go back, load the page again, and send the form again.",
                },
            ),
            Kind::Forbidden => (
                403,
                &Words {
                    what: "You may not do this",
                    why: "Your role in this organization does not allow it. Nothing was done.",
                    next: "Ask an administrator of the organization to do it, or to change your role.",
                },
            ),
            Kind::NotFound => (
                404,
                &Words {
                    what: "There is nothing here",
                    why: "The address is wrong, what it named was deleted, or it belongs to an organization that you are not a member of.",
                    next: "Check the address, or start from the first page. If you were sent a link, ask for a new one.",
                },
            ),
            Kind::Method => (
                405,
                &Words {
                    what: "This address does not work that way",
                    why: "The page takes another kind of request than the one that was sent. Nothing was done.",
                    next: "Go back and use the links and buttons of the page.",
                },
            ),
            Kind::Conflict => (
                409,
                &Words {
                    what: "This is not as it was",
                    why: "Somebody, perhaps you in another window, was quicker. Nothing was done.",
                    next: "Go back, load the page again, and look at how it stands now.",
                },
            ),
            Kind::TooLarge => (
                413,
                &Words {
                    what: "That was too much at once",
                    why: "What was sent is larger than this page takes. Nothing was done.",
                    next: "Send less, or in parts.",
                },
            ),
            Kind::TooMany => (
                429,
                &Words {
                    what: "Too many tries",
                    why: "There were more requests from your network than this page takes. Nothing was done.",
                    next: "Wait a minute, then try again.",
                },
            ),
            Kind::Internal => (
                500,
                &Words {
                    what: "Something went wrong in ocore",
                    why: "This is a fault of ocore, not yours. It is in the logs.",
                    next: "Before you try again, look whether what you wanted has happened. If it fails again, tell who runs this ocore the request id.",
                },
            ),
            Kind::Unavailable => (
                503,
                &Words {
                    what: "ocore cannot answer right now",
                    why: "It is starting or stopping, or its database does not answer.",
                    next: "Wait a minute, then load the page again.",
                },
            ),
        }
    }
}

/// After a session.
pub mod signed_out {
    use crate::signed_out::Why;

    /// The sentences of one reason.
    #[derive(Debug)]
    pub struct Words {
        pub what: &'static str,
        pub why: &'static str,
    }

    pub const AGAIN: &str = "Sign in again";
    pub const KEPT: &str = "Assistants and keys that you connected go on working. To stop them, sign in and revoke them.";

    /// What is told for each reason.
    pub const fn words(why: Why) -> &'static Words {
        match why {
            Why::You => &Words { what: "You are signed out", why: "The session of this browser is over." },
            Why::Everywhere => &Words {
                what: "You are signed out everywhere",
                why: "All your sessions, in this browser and in all others, are over.",
            },
            Why::Expired => &Words {
                what: "Your session has ended",
                why: "It was not used for a while, so it ended by itself. What you had sent is saved; what you had only typed is not.",
            },
            Why::Revoked => &Words {
                what: "Your session was revoked",
                why: "You ended it from another browser, or who runs this ocore did. If you do not know why, change your password after signing in.",
            },
            Why::Disabled => &Words {
                what: "Your account is disabled",
                why: "Who runs this ocore disabled it, so its sessions are over and it cannot sign in. Ask that person why.",
            },
        }
    }
}

/// Roles in an organization.
pub mod role {
    pub const OWNER: &str = "Owner";
    pub const ADMIN: &str = "Admin";
    pub const MEMBER: &str = "Member";
    pub const VIEWER: &str = "Viewer";
    pub const OWNER_MAY: &str = "An owner may do everything in the organization, and delete it.";
    pub const ADMIN_MAY: &str = "An admin may do everything in the organization but delete it.";
    pub const MEMBER_MAY: &str =
        "A member has keys of their own, reads, and changes what the instances' write guards let through.";
    pub const VIEWER_MAY: &str = "A viewer reads, and has read-only keys of their own.";
}

/// The categories of tools.
pub mod category {
    /// Its title; a category that has none is called by its name.
    pub fn title(name: &str) -> String {
        match name {
            "orm" => "Records",
            "search" => "Search and figures",
            "metadata" => "Models and fields",
            "export" => "Import and export",
            "attachments" => "Attachments",
            "reports" => "Reports",
            "context" => "Knowledge",
            "modules" => "Modules",
            "system" => "Users and settings",
            "monitoring" => "Monitoring",
            "sql" => "SQL",
            "shell" => "Odoo shell",
            "files" => "Addon files",
            "platform" => "Instances and servers",
            other => other,
        }
        .to_owned()
    }

    /// What it is about, within a sentence: "may read records and reports"; an unknown one is called by its name.
    pub fn noun(name: &str) -> String {
        match name {
            "orm" => "records",
            "search" => "search results",
            "metadata" => "models and fields",
            "export" => "exports",
            "attachments" => "attachments",
            "reports" => "reports",
            "context" => "notes",
            "modules" => "modules",
            "system" => "users and settings",
            "monitoring" => "usage figures",
            "sql" => "SQL results",
            "shell" => "shell output",
            "files" => "addon files",
            "platform" => "the list of instances",
            other => other,
        }
        .to_owned()
    }

    /// What its tools do; nothing for an unknown one.
    pub fn says(name: &str) -> &'static str {
        match name {
            "orm" => "Read, create, change and delete records.",
            "search" => "Find records, count and sum them up.",
            "metadata" => "What models and fields there are, and how they hang together.",
            "export" => "Records as CSV, in and out.",
            "attachments" => "Files at records: list, upload, download, delete.",
            "reports" => "Invoices and other reports as PDF or HTML.",
            "context" => "Notes, saved filters and bookmarks about your instances.",
            "modules" => "List, install, upgrade and uninstall modules.",
            "system" => "Odoo's users, groups, parameters, scheduled actions, logs, backups.",
            "monitoring" => "Usage figures from PostHog.",
            "sql" => "SQL on the instance's database, past Odoo's access rules.",
            "shell" => "Python code in the Odoo shell, with all rights in that database.",
            "files" => "Read and change the source files of addons.",
            "platform" => "Which instances and servers there are.",
            _ => "",
        }
    }
}

/// Who may do what, in words. Beginnings, middles and ends of sentences: the parts between them are names.
pub mod permission {
    use crate::permission::Power;

    pub const READS: &str = "{}, for {}, may read ";
    pub const READS_NOTHING: &str = "{}, for {}, may read nothing.";
    pub const IT_READS: &str = "It may read ";
    pub const IT_READS_NOTHING: &str = "It may read nothing.";
    pub const EVERYTHING: &str = "everything";
    pub const ON: &str = " on ";
    pub const END: &str = ".";
    pub const CHANGES: &str = "It may create and change ";
    pub const CHANGES_AND_DELETES: &str = "It may create, change and, once it is confirmed, delete ";
    pub const CHANGES_NOTHING: &str = "It cannot change anything.";
    pub const DELETES_NOTHING: &str = "It cannot delete anything.";
    pub const GUARDED: &str = "For now it cannot change anything on ";
    pub const GUARDED_WHILE: &str = ": writing is switched off there.";
    pub const POWERS: &str = "It may also ";
    pub const ACTS_AS: &str = "In Odoo it is {}, so the access rules of that user hold.";
    pub const UNTIL: &str = "It ends {}.";
    pub const ALL_INSTANCES: &str = "all instances, also those added later";
    pub const AND: &str = " and ";
    pub const LAST: &str = ", and ";
    pub const COMMA: &str = ", ";
    pub const IS_PRODUCTION: &str = " (production)";

    /// What a tool reads, where tools are permitted one by one.
    pub fn read_by(tool: &str) -> String {
        format!("what {tool} gives")
    }
    /// What a tool changes, if anything.
    pub fn changed_by(tool: &str) -> String {
        format!("what {tool} changes")
    }

    /// Too many to name.
    pub fn many_instances(count: usize, production: usize) -> String {
        match production {
            0 => format!("{count} instances, none of them production"),
            1 => format!("{count} instances, one of them production"),
            _ => format!("{count} instances, {production} of them production"),
        }
    }

    /// What it may do, after "It may also".
    pub const fn power(power: Power) -> &'static str {
        match power {
            Power::Sql => "run SQL",
            Power::Shell => "run code in the Odoo shell",
            Power::Files => "change addon files",
            Power::Restore => "restore databases",
            Power::Impersonate => "open Odoo as other users",
            Power::Users => "change Odoo's users and passwords",
            Power::Modules => "install and remove modules",
            Power::Admin => "administer ocore as you do",
        }
    }
}

/// First run.
pub mod set_up {
    pub const TITLE: &str = "Set up ocore";
    pub const LEAD: &str = "Make the first user, who runs this ocore, and the first organization. This page works once.";
    pub const EMAIL: &str = "E-mail";
    pub const EMAIL_HINT: &str = "You sign in with it.";
    pub const PASSWORD: &str = "Password";
    pub const PASSWORD_HINT: &str = "At least 12 characters. Three or four words that do not belong together are good.";
    pub const ORG: &str = "Organization";
    pub const ORG_HINT: &str = "The company or team whose Odoo instances you connect, such as Acme. More can be added later.";
    pub const SUBMIT: &str = "Create user and organization";

    /// On `email`.
    pub const NO_EMAIL: &str = "Enter the e-mail address that you want to sign in with.";
    /// On `org`.
    pub const NO_ORG: &str = "Enter a name for the organization.";
    /// On `password`.
    pub const SHORT: &str = "This password has fewer than 12 characters. Add some: length is what makes it hard to guess.";
    /// On `password`.
    pub const LONG: &str = "This password is longer than 1,024 bytes. Choose a shorter one.";
    /// On `password`.
    pub const COMMON: &str = "This password is among those that are tried first. Choose another.";
}

/// The second step of signing in.
pub mod second_step {
    pub const TITLE: &str = "Enter your code";
    pub const LEAD: &str =
        "The password for {} is right. The second step is the 6-digit code that your authenticator app shows now.";
    pub const CODE: &str = "Code";
    pub const CODE_HINT: &str = "No phone at hand? One of your recovery codes works too, once.";
    pub const SUBMIT: &str = "Sign in";
    pub const OTHER: &str = "Sign in as someone else";
    pub const LOST: &str = "Lost both? Only who runs this ocore can turn the second step off for you.";
    /// On `code`.
    pub const WRONG: &str = "This code is not right, or it was used before. Wait for the next one, check that your phone's clock is right, and try again.";
    /// On `code`.
    pub const EMPTY: &str = "Enter the 6 digits from your app, or a recovery code.";
    /// On the form.
    pub const EXPIRED: &str = "Too much time went by since the password. Sign in again from the start.";
    /// On the form.
    pub fn throttled(minutes: u64) -> String {
        let plural = if minutes == 1 { "" } else { "s" };
        format!(
            "There were too many wrong codes for this account. Wait {minutes} minute{plural}, then sign in again. If they were not \
             yours, somebody knows your password: change it."
        )
    }
}

/// Choosing an organization.
pub mod organizations {
    pub const TITLE: &str = "Choose an organization";
    pub const LEAD: &str = "You are {}. What you do next is in the organization that you choose; you can change it at any time.";
    pub const LEAD_CLIENT: &str = "{} will work in one organization. Choose which; what it may do there comes next.";
    pub const CURRENT: &str = "Current";
    pub const EMPTY: &str = "You are not in an organization yet";
    pub const EMPTY_WHY: &str = "An organization holds Odoo instances and says who may do what with them. Ask an administrator of yours for an invite link, and open it here.";

    /// How many instances.
    pub fn instances(count: usize) -> String {
        match count {
            0 => "no instance yet".to_owned(),
            1 => "1 instance".to_owned(),
            _ => format!("{count} instances"),
        }
    }
}

/// What a client may do.
pub mod consent {
    pub const TITLE: &str = "Let {} use ocore?";
    pub const LEAD: &str =
        "{} asks to work with Odoo on your account. You decide what it may do, and can take it back at any time.";
    pub const WHO: &str = "Who asks";
    pub const PROOF_HOST: &str = "described by {}";
    pub const PROOF_SELF: &str = "It gave itself this name; ocore cannot check it";
    pub const PROOF_OWN: &str = "says that it is ocore's command line; anybody can run it";
    pub const GOES_TO: &str = "Answer goes to";
    pub const GOES_LOOPBACK: &str = "a program on this computer ({})";
    pub const ASKED_FROM: &str = "Asked from";
    pub const CODE: &str = "Code";
    pub const ACCOUNT: &str = "Your account";
    pub const ORG: &str = "Organization";
    pub const CHANGE: &str = "Change";
    pub const CHANGE_ORG: &str = " the organization";

    pub const MAY: &str = "What it may do";
    pub const READ: &str = "Read only";
    pub const STANDARD: &str = "Standard";
    pub const FULL: &str = "Full";
    pub const CUSTOM: &str = "Custom";
    pub const CUSTOM_SAYS: &str = "Choose instances and tools yourself.";

    pub const INSTANCES: &str = "Instances";
    pub const ALL_INSTANCES: &str = "All, including future ones";
    pub const ALL_INSTANCES_HINT: &str = "Instances that are added to the organization later, production too.";
    pub const NO_INSTANCES: &str = "This organization has no instance yet. Tick “All, including future ones”, or add one first.";
    pub const TOOLS: &str = "Tools";
    pub const ALL_CATEGORIES: &str = "All categories, including future ones";
    pub const ALL_CATEGORIES_HINT: &str = "Categories that come with later versions of ocore.";
    pub const ALL_TOOLS: &str = "All tools of the ticked categories, including future ones";
    pub const ALL_TOOLS_HINT: &str = "Without it, only the tools that are ticked below.";
    pub const ACCESS_READ: &str = "reads";
    pub const ACCESS_WRITE: &str = "changes";
    pub const ACCESS_DESTRUCTIVE: &str = "destroys";
    pub const READ_ONLY: &str = "Read only";
    pub const READ_ONLY_HINT: &str = "Whatever is ticked above: tools that change anything are refused.";
    pub const PREVIEW: &str = "Update the summary";
    pub const PREVIEW_TITLE: &str = "With this choice";
    pub const PREVIEW_HINT: &str = "Changed a tick above? Update to read what it means now. The ticks count, updated or not.";

    pub const MORE: &str = "How it works";
    pub const AUTO_CONTEXT: &str = "Tell it what is known about the instances";
    pub const AUTO_CONTEXT_HINT: &str =
        "Short notes from your organization's knowledge are given to it at the start of each session.";
    pub const KEY: &str = "Key";
    pub const KEY_HINT: &str = "Everything it does is recorded under a key. Revoking the key stops it. What is chosen above is for a new key; one of yours may do what it may do now.";
    pub const KEY_NEW: &str = "Make a new key";
    pub const KEY_LABEL: &str = "Name of the new key";
    pub const KEY_LABEL_HINT: &str = "So that you know it again in the audit log.";
    pub const KEY_LINK: &str = "Use my key {}";
    pub const KEY_MAY: &str = "What it may do";
    pub const KEY_USED: &str = "Last used";
    pub const KEY_UNUSED: &str = "Never used";
    pub const USE_KEY_TITLE: &str = "How is your key {} to be used?";
    pub const AS_IT_IS: &str = "As it is: {} may do what the key may do, whatever is chosen above";
    pub const RAISED: &str = "With more: the key may also do what is chosen above, for everything that uses it";
    pub const ALLOW: &str = "Allow {}";
    pub const DENY: &str = "Deny";

    /// How many tools of a category are ticked.
    pub fn ticked(ticked: usize, all: usize) -> String {
        format!("{ticked} of {all} tools")
    }

    /// Instead of the page, when the client cannot be told.
    pub const NOT_ANSWERED: &str = "This request of an app cannot be answered";
    pub const NOT_ANSWERED_NEXT: &str =
        "Go back to the app and connect again. If that does not help, its developers can mend it with the reason above.";
    pub const NO_ORG: &str = "You are not a member of any organization, so there is nothing that you could let an app into.";
    pub const NO_ORG_NEXT: &str = "Ask an administrator of an organization for an invite.";
    pub const NO_INSTANCE_NEXT: &str = "Compare the address that you gave the app, or ask an administrator of the organization.";

    pub const TOO_LONG: &str = "The app sent a request that is too long.";
    /// The app asked for one instance, which is not there.
    pub fn no_instance(slug: &str, org: &str) -> String {
        format!("The app asks for the instance {slug}, and {org} has none of that name.")
    }

    /// Why a preset is barred.
    pub const BARRED_VIEWER: &str = "Your role, viewer, only reads.";
    /// Why a category is barred.
    pub const BARRED_CATEGORY: &str = "Your role does not have it.";
    /// Why a category is barred.
    pub const BARRED_CATEGORY_SCOPE: &str = "It did not ask for it.";
    /// On `label`.
    pub const NO_LABEL: &str = "Give the new key a name, such as “Claude on my laptop”.";
    /// On the form: nothing is ticked.
    pub const NOTHING: &str =
        "Nothing is ticked, so it could not do anything. Tick at least one instance and one category, or deny.";
    /// On `use_key`.
    pub const USE_KEY_HOW: &str = "Say how your key is to be used, then allow again.";
}

/// On to another site.
pub mod onward {
    use crate::onward::Going;

    pub const CONTINUE: &str = "Continue to {}";
    pub const BY_ITSELF: &str = "This goes on by itself. If it does not, use the link.";

    /// The heading.
    pub const fn title(kind: Going) -> &'static str {
        match kind {
            Going::Allowed => "{} is connected",
            Going::Denied => "{} was not let in",
            Going::Odoo => "Opening {}",
            Going::Provider => "Going to {}",
        }
    }

    /// The sentence below.
    pub const fn says(kind: Going) -> &'static str {
        match kind {
            Going::Allowed => "You are taken back to it now. To change or take back what it may do, see Assistants in ocore.",
            Going::Denied => "Nothing was given. You are taken back to it now, so that it knows.",
            Going::Odoo => "You are taken to Odoo now.",
            Going::Provider => "You sign in there and come back here.",
        }
    }
}

/// Device codes.
pub mod device {
    use crate::device::DeviceEnd;

    pub const TITLE: &str = "Connect a device";
    pub const LEAD: &str = "Your terminal or app shows a code. Type it here to connect it to your account.";
    pub const CODE: &str = "Code";
    pub const CODE_HINT: &str = "8 letters, such as BCKF-HMLT. Capitals and the dash do not matter.";
    pub const SUBMIT: &str = "Continue";
    pub const WARNING: &str = "Only type a code that you made yourself just now. Someone who sends you a code wants your access.";
    /// On `user_code`.
    pub const UNKNOWN: &str =
        "No device is waiting with this code. Compare it with the one on your screen; a code works once and for 15 minutes.";
    /// On `user_code`.
    pub const EMPTY: &str = "Enter the code that your terminal or app shows.";
    /// On the form.
    pub const THROTTLED: &str = "There were too many wrong codes. Wait a few minutes, then try again.";

    pub const CONFIRM_TITLE: &str = "Is this your device?";
    pub const CONFIRM_LEAD: &str = "{} asks to be connected to your account. Go on only if it shows this code now:";
    pub const CLIENT: &str = "Program";
    pub const ADDRESS: &str = "Asked from";
    pub const SAME: &str = "Same network as this browser";
    pub const OTHER: &str = "Another network than this browser";
    pub const SINCE: &str = "Asked";
    pub const UNTIL: &str = "Code valid until";
    pub const MINE: &str = "It is mine, continue";
    pub const NOT_MINE: &str = "Not mine";

    /// The heading at the end.
    pub const fn end_title(end: DeviceEnd) -> &'static str {
        match end {
            DeviceEnd::Allowed => "{} is connected",
            DeviceEnd::Denied => "{} was not connected",
            DeviceEnd::Expired => "The code of {} has expired",
        }
    }

    /// The sentence below.
    pub const fn end_says(end: DeviceEnd) -> &'static str {
        match end {
            DeviceEnd::Allowed => {
                "Go back to your terminal or app: it goes on by itself within a few seconds. This tab can be closed."
            }
            DeviceEnd::Denied => {
                "Nothing was given. If you did not ask for this, nothing else is to be done; if you did, start again there."
            }
            DeviceEnd::Expired => "A code works for 15 minutes. Start again in your terminal or app, and type the new code here.",
        }
    }
    pub const AGAIN: &str = "Enter another code";
    pub const SEE: &str = "See what is connected";
}

/// Invites.
pub mod invite {
    use crate::invite::InviteRefused;

    /// The sentences of one refusal.
    #[derive(Debug)]
    pub struct Words {
        pub what: &'static str,
        pub why: &'static str,
        pub next: &'static str,
    }

    pub const TITLE: &str = "You are invited to {}";
    pub const LEAD: &str = "{} invites you to work with the Odoo instances of {}.";
    pub const ROLE: &str = "Your role";
    pub const ROLE_KEPT: &str = "stays as it is";
    pub const UNTIL: &str = "Invite valid until";
    pub const ACCOUNT: &str = "Your account";
    pub const MAY: &str = "What your key will be able to do";
    /// Who may do it, and for whom.
    pub const YOUR_KEY: &str = "Your key";
    pub const YOU: &str = "you";
    pub const ACCEPT: &str = "Join {}";
    pub const ACCEPT_KEY: &str = "Make my key";
    pub const SIGN_IN: &str = "Sign in to accept";
    pub const SIGN_IN_SAYS: &str = "You have an account here already?";
    pub const NEW: &str = "New here? Make your account and join";
    pub const EMAIL: &str = "Your e-mail";
    pub const EMAIL_HINT: &str = "You sign in with it.";
    pub const PASSWORD: &str = "A new password";
    pub const PASSWORD_HINT: &str = "At least 12 characters. Three or four words that do not belong together are good.";
    /// On `email`.
    pub const NO_EMAIL: &str = "Enter your e-mail address: you sign in with it.";
    /// On `email`.
    pub const TAKEN: &str = "There is an account with this address. Sign in with it to accept.";
    pub const NOT_YOU: &str = "Do not know {}? Close this page; nothing happens.";

    pub const DONE: &str = "You are in {}";
    pub const DONE_LEAD: &str = "Your role is {}. This is your key: copy it now, it is shown only this once.";
    pub const KEY: &str = "Key {}";
    pub const URL: &str = "Address for assistants";
    pub const DONE_NEXT: &str = "Put the key into your assistant or program as its API key or bearer token, with the address. Lost it, or seen by somebody? Ask an administrator to have it revoked, and for another invite.";

    /// On the form.
    pub const FAILED: &str = "The invite could not be accepted just now. Nothing happened; try again in a moment.";

    /// What is told of each refusal.
    pub const fn words(why: InviteRefused) -> &'static Words {
        match why {
            InviteRefused::Expired => &Words {
                what: "This invite has expired",
                why: "Invites are good for a limited time, a week unless their maker says otherwise.",
                next: "Ask who sent it for a new one.",
            },
            InviteRefused::Used => &Words {
                what: "This invite was already used",
                why: "It was accepted as often as its maker allowed.",
                next: "If you accepted it before, you are in: just sign in. Otherwise ask who sent it for a new one.",
            },
            InviteRefused::Revoked => &Words {
                what: "This invite was taken back",
                why: "An administrator of the organization revoked it.",
                next: "Ask who sent it.",
            },
            InviteRefused::Shrunk => &Words {
                what: "This invite no longer works",
                why: "Who made it may no longer give what it gives, so nobody can accept it.",
                next: "Ask an administrator of the organization for a new one.",
            },
            InviteRefused::NotYours => &Words {
                what: "This invite is for someone else",
                why: "It was made for another e-mail address than the one you are signed in with.",
                next: "Sign in with the address that it was sent to, or ask for one of your own.",
            },
            InviteRefused::Unknown => &Words {
                what: "There is no such invite",
                why: "The address names no invite. It may have been cut when it was copied.",
                next: "Copy the whole link again, or ask who sent it for a new one.",
            },
        }
    }
}

/// Invites of an organization, for its administrators.
pub mod invites {
    use crate::invites::InviteState;

    pub const TITLE: &str = "Invites";
    pub const LEAD: &str = "Links that let people into this organization, each with a role and a key of their own.";
    pub const NEW: &str = "New invite";
    pub const NEW_SAYS: &str = "It gives at most what you may do yourself, and what its role may. If you lose that, so do the keys that it made. It never changes the role of who is a member already.";
    pub const EMPTY: &str = "Nobody is invited";
    pub const EMPTY_WHY: &str = "An invite is a link that you send to a person. Who opens it signs in, joins with the role that you chose, and gets a key for an assistant. Make the first one below.";

    pub const ROLE: &str = "Role";
    pub const ROLE_HINT: &str = "A viewer only reads, whatever you choose below.";
    pub const USED: &str = "Used";
    pub const UNTIL: &str = "Valid until";
    pub const BY: &str = "Vouched for by";
    pub const REVOKE: &str = "Revoke";
    pub const REVOKE_WHICH: &str = " the invite {}";
    pub const REVOKE_SAYS: &str = "The link stops working at once. Who has accepted it stays a member and keeps the key.";
    pub const REVOKE_DO: &str = "Revoke {}";
    pub const LOST: &str = "{} may no longer invite. Nobody can accept this invite, and the keys that it made do not work, until an administrator vouches for it.";
    pub const VOUCH: &str = "Vouch";
    pub const VOUCH_WHICH: &str = " for the invite {}";

    /// Who may do what an invite gives.
    pub const WHO: &str = "Who accepts it";
    pub const LABEL: &str = "Name";
    pub const LABEL_HINT: &str = "For your list, such as “Ben, bookkeeping”.";
    pub const DAYS: &str = "Valid for days";
    pub const DAYS_HINT: &str = "1 to 30";
    pub const USES: &str = "How many people may use it";
    pub const USES_HINT: &str = "1 to 100; one link for one person is the safest";
    pub const MAKE: &str = "Make the invite";

    pub const MADE: &str = "Send this link";
    pub const MADE_LEAD: &str =
        "It is shown only this once. Whoever has it can accept the invite, so send it only to the person that it is for.";
    pub const LINK: &str = "Invite {}";
    pub const GIVES: &str = "What it gives";
    pub const BACK: &str = "Back to the invites";

    /// Why a category is barred.
    pub const BARRED_CATEGORY: &str = "An invite gives at most the role member, which does not have it.";
    /// On `label`.
    pub const NO_LABEL: &str = "Enter a name of up to 100 characters, so that you know later whom you invited.";
    /// On `days`.
    pub const BAD_DAYS: &str = "Enter a whole number of days from 1 to 30.";
    /// On `uses`.
    pub const BAD_USES: &str = "Enter a whole number of people from 1 to 100.";
    /// On the form.
    pub const NOTHING: &str = "This invite would let nobody do anything. Tick at least one instance and one category, or choose another of the ready-made ones.";
    /// On the form; `what` is a list such as "categories, writing".
    pub fn beyond(what: &str) -> String {
        format!(
            "The invite would give more than you may do yourself, or than its role may: {what}. Leave that out, or choose another role."
        )
    }
    /// A notice.
    pub fn revoked(label: &str) -> String {
        format!("The invite {label} is revoked.")
    }
    /// A notice.
    pub fn vouched(label: &str) -> String {
        format!("You vouch for the invite {label} now. It and the keys that it made work within what you may do.")
    }

    /// How often it was used.
    pub fn used(used: u32, of: u32) -> String {
        format!("{used} of {of}")
    }

    pub const ON_HOLD: &str = "On hold";

    /// The word of a state.
    pub const fn state(state: InviteState) -> &'static str {
        match state {
            InviteState::Open => "Open",
            InviteState::Used => "Used up",
            InviteState::Expired => "Expired",
            InviteState::Revoked => "Revoked",
        }
    }
}

/// Assistants that were let in.
pub mod authorizations {
    pub const TITLE: &str = "Assistants";
    pub const LEAD: &str = "The assistants and apps that you let in, and what each may do on your account.";
    pub const EMPTY: &str = "No assistant is connected yet";
    pub const EMPTY_WHY: &str = "Give this address to Claude, ChatGPT, Cursor or another assistant. It asks you here what it may do, and then appears on this page.";
    pub const URL: &str = "Address";
    pub const CLAUDE_CODE: &str = "For Claude Code, in a terminal";
    pub const ORG: &str = "Organization";
    pub const KEY: &str = "Key";
    pub const LEFT: &str = "You are no longer in {}, so it may do nothing there.";
    pub const KEY_GOES: &str = "made for it, goes with it";
    pub const KEY_STAYS: &str = "your own, stays";
    pub const SINCE: &str = "Allowed";
    pub const USED: &str = "Last used";
    pub const NEVER: &str = "never";
    pub const REVOKE: &str = "Revoke";
    pub const REVOKE_IN: &str = " {} in {}";
    pub const REVOKE_SAYS: &str =
        "{} stops working in {} within 30 seconds, open sessions too. To let it in again it must ask you again.";
    pub const REVOKE_KEY: &str = "The key {} is removed; its audit log stays.";
    pub const REVOKE_DO: &str = "Revoke {}";
    pub const REVOKE_ALL: &str = "Revoke all of {}";
    pub const REVOKE_ALL_SAYS: &str =
        "{} stops working everywhere on your account within 30 seconds, and the keys that were made for it are removed.";
    /// A notice.
    pub const REVOKED: &str = "It is revoked, and stops within 30 seconds, open sessions too.";
}

/// Sessions.
pub mod sessions {
    pub const TITLE: &str = "Sessions";
    pub const LEAD: &str = "Where you are signed in to ocore. End what you do not know, and then change your password.";
    pub const AGENT: &str = "Browser";
    pub const ON: &str = "{} on {}";
    pub const UNKNOWN: &str = "Unknown browser";
    pub const ADDRESS: &str = "Address";
    pub const SINCE: &str = "Signed in";
    pub const SEEN: &str = "Last seen";
    pub const ACTION: &str = "Action";
    pub const CURRENT: &str = "This one";
    pub const END: &str = "End";
    pub const END_WHICH: &str = " the session {} at {}";
    pub const END_OTHERS: &str = "End all others";
    pub const ONLY: &str = "You are signed in nowhere else.";
    /// A notice.
    pub const ENDED: &str = "The session is ended.";
    /// A notice.
    pub const ENDED_OTHERS: &str = "All other sessions are ended.";
}

/// My account.
pub mod account {
    pub const TITLE: &str = "My account";
    pub const LEAD: &str = "How you sign in. Roles and keys belong to your organizations.";
    pub const EMAIL: &str = "E-mail";
    pub const OPERATOR: &str = "Runs this ocore";

    pub const PASSWORD: &str = "Password";
    pub const PASSWORD_SAYS: &str = "Nobody but you knows it: it is stored so that it cannot be read.";
    pub const NO_PASSWORD: &str = "You have no password: you sign in with a provider. Set one to be able to sign in without it.";
    pub const CURRENT: &str = "Current password";
    pub const NEW: &str = "New password";
    pub const NEW_HINT: &str = "At least 12 characters. Three or four words that do not belong together are good.";
    pub const CHANGE: &str = "Change password";
    pub const SET: &str = "Set password";
    pub const CHANGE_SAYS: &str = "Your other sessions end. Keys and assistants go on.";

    pub const SECOND: &str = "Second step";
    pub const SECOND_OFF: &str = "Off";
    pub const SECOND_ON: &str = "On";
    pub const SECOND_SAYS: &str =
        "With it, signing in also asks for a code of an app on your phone, so a stolen password alone is worth nothing.";
    pub const SECOND_SET_UP: &str = "Set up the second step";
    pub const SINCE: &str = "On since";
    pub const CODES_LEFT: &str = "Recovery codes left";
    pub const CODES_FEW: &str = "Few recovery codes are left. Make new ones before you need them.";
    pub const CODES_NEW: &str = "Make new recovery codes";
    pub const CODES_NEW_SAYS: &str = "The ones you have now stop working.";
    pub const TURN_OFF: &str = "Turn the second step off";
    pub const TURN_OFF_SAYS: &str = "Your password alone will be enough to sign in again.";
    pub const CONFIRM: &str = "Your password";
    pub const CONFIRM_HINT: &str = "Asked for again, so that nobody else does this in a browser that you left open.";

    pub const PROVIDERS: &str = "Other ways to sign in";
    pub const LINKED_AS: &str = "Linked as {}";
    pub const NOT_LINKED: &str = "Not linked";
    pub const LINK: &str = "Link {}";
    pub const LINK_SAYS: &str = "You sign in there and come back. Then that account opens this one too.";
    pub const UNLINK: &str = "Unlink {}";
    pub const ONLY_WAY: &str = "Your only way to sign in: set a password before you unlink it.";

    pub const LOOK: &str = "Look";
    pub const LOOK_SAYS: &str = "For this browser alone.";
    pub const LOOKS: [(&str, &str); 3] = [("system", "As the system"), ("light", "Light"), ("dark", "Dark")];

    pub const SET_UP_TITLE: &str = "Set up the second step";
    pub const SCAN: &str = "Scan this with your authenticator app";
    pub const SCAN_SAYS: &str = "Any app for one-time codes works, such as the one built into your phone's password manager.";
    pub const QR: &str = "QR code for the authenticator app; the key below says the same";
    pub const SECRET: &str = "Cannot scan? Type this key";
    pub const THEN: &str = "Type the code that the app shows";
    pub const CODE: &str = "6-digit code";
    pub const TURN_ON: &str = "Turn on";

    pub const CODES_TITLE: &str = "Your recovery codes";
    pub const CODES_ON: &str = "The second step is on.";
    pub const CODES_LEAD: &str = "Each of these codes replaces the app once, should your phone be lost. Keep them where you find them without it, printed or in a password manager.";
    pub const CODES_ONCE: &str = "They are shown only now. Making new ones ends these.";
    pub const CODES: &str = "Recovery codes";
    pub const CODES_COPY: &str = "Copy all";
    pub const CODES_DONE: &str = "I have kept them";

    /// On `current`, `confirm_off` or `confirm_codes`.
    pub const WRONG: &str = "This is not your password. Try again.";
    /// On `new_password`.
    pub const SHORT: &str = "This password has fewer than 12 characters. Add some: length is what makes it hard to guess.";
    /// On `new_password`.
    pub const LONG: &str = "This password is longer than 1,024 bytes. Choose a shorter one.";
    /// On `new_password`.
    pub const COMMON: &str = "This password is among those that are tried first. Choose another.";
    /// On `new_password`.
    pub const SAME: &str = "This is the password that you have now. Choose another.";
    /// On `code`.
    pub const WRONG_CODE: &str =
        "This code is not right. Wait for the next one, check that your phone's clock is right, and try again.";
    /// Where a password is asked for again and there is none.
    pub const NO_PASSWORD_YET: &str = "You have no password that could be asked for. Set one under My account first.";
    /// On the form.
    pub const OVER: &str =
        "This was done or undone meanwhile, or the page was open for too long. Look at how it stands now, and try again.";
    /// On the form.
    pub fn throttled(minutes: u64) -> String {
        let plural = if minutes == 1 { "" } else { "s" };
        format!("The password was wrong too often in this browser. Wait {minutes} minute{plural}, then try again.")
    }
    /// A notice.
    pub const CHANGED: &str = "Your password is changed and your other sessions are ended.";
    /// A notice.
    pub const LINKED: &str = "Linked: from now on you can sign in with it.";
    /// A notice.
    pub const UNLINKED: &str = "Unlinked, and your other sessions are ended.";
    /// A notice.
    pub const TURNED_OFF: &str = "The second step is off.";
}

/// A new password without the old one.
pub mod password_reset {
    pub const BACK: &str = "Back to sign in";
    pub const NEW_TITLE: &str = "Set a new password";
    pub const NEW_LEAD: &str = "For the account {}. All its sessions end; keys and assistants go on.";
    pub const NEW: &str = "New password";
    pub const NEW_HINT: &str = "At least 12 characters. Three or four words that do not belong together are good.";
    pub const SET: &str = "Set password";
    pub const OVER_TITLE: &str = "This link no longer works";
    pub const OVER_LEAD: &str =
        "A link to set a password works once and for an hour, and a newer one replaces it. Your password was not changed.";
    pub const OVER_ASK: &str = "Ask who runs this ocore for a new link.";
}

#[cfg(test)]
mod tests {
    use super::category;

    #[test]
    fn every_category_has_words_of_its_own() {
        for known in kernel::Category::ALL.iter().map(|known| known.as_str()) {
            assert_ne!(category::title(known), known);
            assert!(!category::says(known).is_empty(), "{known}");
        }
        assert_eq!((category::title("new").as_str(), category::says("new")), ("new", ""));
    }
}
