//! What an OAuth client may do on the user's account: the page that decides it.
use askama::Template;

use crate::{
    parts::{Instance, Mistake, Phrase, When, error},
    permission::Permission,
    routes,
    strings::{category, consent as s},
};

/// The consent page. Posts to `/consent`:
/// `csrf request preset(read|standard|full|custom) instance* all_instances category* all_categories tool* all_tools read_only
/// auto_context key(new|<id>) label raise do(allow|deny|preview)`; ticks are `yes` or left out, `*` comes once per tick.
#[derive(Debug, Template)]
#[template(path = "consent.html")]
pub struct Consent {
    /// The form token.
    pub csrf: String,
    /// The id of the pending request.
    pub request: String,
    /// Who asks.
    pub client: Client,
    /// How it asked.
    pub asks: Asks,
    /// Who is signed in.
    pub you: String,
    /// The organization that it will work in.
    pub org: String,
    /// Where another organization can be chosen, when there are several.
    pub change_org: Option<String>,
    /// What each preset would allow, in this order on the page.
    pub presets: Vec<PresetChoice>,
    /// The preset that is chosen.
    pub preset: Preset,
    /// The custom choice.
    pub scope: Scope,
    /// What the custom choice allows, as of the last time it was sent.
    pub custom: Permission,
    /// Whether notes about the instances are told to the client by itself.
    pub auto_context: bool,
    /// Keys of the user's own that can be used instead of a new one.
    pub keys: Vec<KeyChoice>,
    /// The id of the chosen one; none makes a new key.
    pub key: Option<String>,
    /// The label for a new key.
    pub label: String,
    /// Set when the chosen key can do less than what is asked: allowing asks again.
    pub raise: Option<Raise>,
    /// What is wrong.
    pub mistakes: Vec<Mistake>,
}

/// An OAuth client as it presents itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// The name it gives itself.
    pub name: String,
    /// Its picture: a path of this site or a `data:` address of a raster picture; nothing else is shown under the pages' policy.
    pub logo: Option<String>,
    /// How far the name can be believed.
    pub proof: Proof,
}

/// Where a client's name comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// From a document on that host.
    Host(String),
    /// The client says so itself: anyone can register any name.
    Itself,
    /// It is ocore's own.
    Own,
}

/// How a client asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asks {
    /// By a redirect of this browser: the answer goes to that host.
    Redirect {
        /// The host of the redirect address, or the scheme of an app's own.
        host: String,
        /// Whether it is a program on the user's own computer.
        loopback: bool,
    },
    /// By a device code.
    Device {
        /// The code.
        code: String,
        /// The address that asked.
        address: String,
        /// When.
        since: When,
    },
}

/// A ready-made choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preset {
    /// Reads only.
    Read,
    /// Reads and changes records; nothing that reaches past them.
    Standard,
    /// All that the user may do.
    Full,
    /// What is ticked below.
    Custom,
}

impl Preset {
    /// The value that is posted.
    pub const fn value(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Standard => "standard",
            Self::Full => "full",
            Self::Custom => "custom",
        }
    }

    /// Its word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Read => s::READ,
            Self::Standard => s::STANDARD,
            Self::Full => s::FULL,
            Self::Custom => s::CUSTOM,
        }
    }
}

/// A preset as offered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresetChoice {
    /// Which.
    pub preset: Preset,
    /// What it allows; for [`Preset::Custom`] leave it out, the page says it beside the tree.
    pub allows: Option<Permission>,
    /// Why it cannot be chosen, if so.
    pub barred: Option<String>,
}

/// The tree of what can be ticked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// The organization's instances that the user can reach.
    pub instances: Vec<InstanceChoice>,
    /// All instances, also those added later.
    pub all_instances: bool,
    /// The categories, each with its tools.
    pub categories: Vec<CategoryChoice>,
    /// All categories, also those added later.
    pub all_categories: bool,
    /// All tools of the chosen categories, also those added later.
    pub all_tools: bool,
    /// Reads only, whatever is ticked.
    pub read_only: bool,
}

/// An instance to tick.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceChoice {
    /// Which; its slug is posted as `instance`.
    pub instance: Instance,
    /// Whether it is ticked.
    pub checked: bool,
}

/// A category to tick.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CategoryChoice {
    /// Its name, posted as `category`, such as `orm`.
    pub name: String,
    /// Whether it is ticked.
    pub checked: bool,
    /// Why it cannot be ticked, if so.
    pub barred: Option<String>,
    /// Its tools.
    pub tools: Vec<ToolChoice>,
}

impl CategoryChoice {
    fn ticked(&self) -> usize {
        self.tools.iter().filter(|tool| tool.checked).count()
    }
}

/// A tool to tick.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolChoice {
    /// Its name, posted as `tool`, such as `search_read`.
    pub name: String,
    /// Its title.
    pub title: String,
    /// What it does to the instance.
    pub access: Access,
    /// Whether it is ticked.
    pub checked: bool,
}

/// What a tool does to an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Reads.
    Read,
    /// Changes.
    Write,
    /// Destroys.
    Destructive,
}

impl Access {
    /// Its word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Read => s::ACCESS_READ,
            Self::Write => s::ACCESS_WRITE,
            Self::Destructive => s::ACCESS_DESTRUCTIVE,
        }
    }

    const fn tone(self) -> crate::parts::Tone {
        match self {
            Self::Read => crate::parts::Tone::Plain,
            Self::Write => crate::parts::Tone::Careful,
            Self::Destructive => crate::parts::Tone::Bad,
        }
    }
}

/// A key of the user's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyChoice {
    /// Its id, posted as `key`.
    pub id: String,
    /// Its label.
    pub label: String,
    /// What it allows.
    pub allows: Permission,
    /// When it was last used.
    pub used: Option<When>,
}

/// Allowing would let a key do more than now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Raise {
    /// The key's label.
    pub key: String,
    /// What it will be able to do, for everything that uses it.
    pub allows: Permission,
}
