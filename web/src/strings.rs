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
    pub const REQUIRED: &str = "required";
    pub const OPTIONAL: &str = "optional";
    pub const COPY: &str = "Copy";
    pub const COPIED: &str = "Copied";
    pub const NOTE_GOOD: &str = "Done:";
    pub const NOTE_CAREFUL: &str = "Careful:";
    pub const NOTE_BAD: &str = "Problem:";
    pub const NOTE_INFO: &str = "Note:";
}

/// Times.
pub mod time {
    /// The exact form, for `chrono`.
    pub const EXACT: &str = "%-d %b %Y, %H:%M UTC";

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
    pub const FORGOT: &str = "Forgot your password?";
    pub const FORGOT_OPERATOR: &str = "Forgot your password? Ask who runs this ocore: only that person can set a new one.";

    pub const THEN_CONSENT: &str = "After this you decide what {} may do on your account.";
    pub const THEN_DEVICE: &str = "After this you confirm the code that your terminal or app shows.";
    pub const THEN_INVITE: &str = "After this you see what the invite to {} gives you, and accept it or not.";
    pub const THEN_IMPERSONATE: &str = "After this you see what the one-time link into Odoo does, and open it or not.";
    pub const THEN_PAGE: &str = "After this you go on to {}.";

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
    /// On the form, for a provider that gave an error or nothing.
    pub fn provider_failed(name: &str) -> String {
        format!("{name} did not confirm who you are. Try again, or sign in with your password.")
    }
    /// On the form, for an account of a provider that no user here is linked to.
    pub fn provider_unknown(name: &str) -> String {
        format!(
            "Your {name} account is not linked to a user here. Sign in with your password and link it under My account, or ask for an invite."
        )
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
    pub const YOU: &str = "This browser is signed in as {}.";
    pub const WHAT: &str = "One-time links into Odoo that your assistant makes open in this browser. Everything else is done with the command line on the server; its guide tells how.";
    pub const SIGN_OUT: &str = "Sign out";
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
