//! What an OAuth client may do on the user's account: the page that decides it.
use std::{collections::BTreeSet, sync::Arc};

use admin::consents::{self, Choices, OwnKey, Reply, Through};
use askama::Template;
use axum::{
    extract::{Request, State},
    http::StatusCode,
    response::Response,
};
use identity::{
    Signed,
    oauth::{
        OauthError,
        redirect::Kind as RedirectKind,
        request::{Authorization, Refused},
        resource::Resource,
        scope::{Scope as IdentityScope, Scopes},
        server::{Failed, KnownClient, Pending},
    },
};
use kernel::{Category, Fault, Permissions, Role, Selection, ToolRule, policy};
use subtle::ConstantTimeEq as _;

use crate::{
    device::{self, DeviceDone, DeviceEnd},
    onward::{Going, Onward},
    organizations,
    parts::{Instance, Mistake, Phrase, When, error},
    permission::Permission,
    problem::{Kind, Problem},
    routes,
    said::{Allowed, Offered, permission},
    site::{Asked, LONGEST_PATH, Site, by, faulty, field, go, page, problem, sign_in_first, with_cookie},
    strings::consent as s,
};

/// The consent page. Posts to `/consent`:
/// `csrf request preset(read|standard|full|custom) instance* all_instances category* all_categories tool* all_tools read_only
/// auto_context key(new|<id>) label use_key(as_it_is|raised) do(allow|deny|preview)`; ticks are `yes` or left out, `*` comes once per tick.
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
    /// Set when a key of the person's own was chosen: allowing asks how it is to be used.
    pub use_key: Option<UseKey>,
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

impl Client {
    /// The picture, if it is a path of this site or a raster picture in the address itself.
    pub fn picture(&self) -> Option<&str> {
        const RASTER: [&str; 4] = ["png", "jpeg", "gif", "webp"];
        self.logo.as_deref().filter(|logo| {
            (logo.starts_with('/') && !logo.starts_with("//") && !logo.starts_with("/\\"))
                || logo
                    .strip_prefix("data:image/")
                    .and_then(|rest| rest.split_once(";base64,"))
                    .is_some_and(|(kind, _)| RASTER.contains(&kind))
        })
    }
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
#[expect(clippy::struct_excessive_bools, reason = "each is a tick of the page")]
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

impl Scope {
    /// Whether single tools can be ticked.
    pub(crate) fn offers_tools(&self) -> bool {
        self.categories.iter().any(|category| !category.tools.is_empty())
    }
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
    /// Its tools; empty in all categories where these are not chosen one by one.
    pub tools: Vec<ToolChoice>,
}

impl CategoryChoice {
    pub(crate) fn ticked(&self) -> String {
        s::ticked(self.tools.iter().filter(|tool| tool.checked).count(), self.tools.len())
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

    pub(crate) const fn tone(self) -> crate::parts::Tone {
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

/// How a key of the person's own is to be used. What was chosen for a new key says nothing of it, so it is asked each time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UseKey {
    /// The key's label.
    pub key: String,
    /// What the client will be able to do by the key as it is.
    pub allows: Permission,
    /// What the key would be able to do, for everything that uses it, with what was chosen above as well; none where that is no
    /// more, or not the person's to give.
    pub raised: Option<Permission>,
}

// ------------------------------------------------------------------------------------------------ handlers

/// What waits for the person's decision. Its text travels through the forms and is read anew each time: nothing is kept of it here.
enum Wanted {
    /// By a redirect of this browser.
    Redirect { client: KnownClient, asked: Authorization },
    /// By a program that shows a code.
    Device { code: String, pending: Pending },
}
impl Wanted {
    /// `text` is the query of the authorization request, or `device=` and the code.
    async fn read(site: &Site, asked: &Asked, signed: &Signed, text: &str) -> Result<Self, Response> {
        if let Some(code) = named(text, DEVICE) {
            let compared = named(text, COMPARED).unwrap_or_default();
            if !bool::from(compared.as_bytes().ct_eq(device::compared(asked, &code).as_bytes())) {
                return Err(device::to_compare(&code));
            }
            return match site.oauth.pending(&code, signed.user, asked.visitor.address).await {
                Ok(Ok(pending)) => Ok(Self::Device { code, pending }),
                Ok(Err(no)) => Err(device::again(site, asked, &code, no)),
                Err(failure) => Err(failed_request(&failure)),
            };
        }
        let (client, request) = site
            .oauth
            .asked(&asked.visitor.public, text, asked.visitor.address)
            .await
            .map_err(|failure| failed_request(&failure))?;
        match request {
            Ok(asked) => Ok(Self::Redirect { client, asked }),
            Err(Refused::Show(error)) => Err(not_answered(&error)),
            Err(Refused::Tell { error, location, .. }) => {
                // Anybody can register a client, and so make a link on our name that leads elsewhere (RFC 9700 section 4.11.2).
                let known = consents::list(&site.admin, &by(asked, signed)).await.map_err(|fault| faulty(&fault))?;
                let known = known.iter().any(|authorized| authorized.grant.client == client.id);
                Err(if known { go(&location) } else { not_answered(&error) })
            }
        }
    }
    fn client(&self) -> &KnownClient {
        match self {
            Self::Redirect { client, .. } => client,
            Self::Device { pending, .. } => &pending.client,
        }
    }
    fn scopes(&self) -> &Scopes {
        match self {
            Self::Redirect { asked, .. } => &asked.scopes,
            Self::Device { pending, .. } => &pending.scopes,
        }
    }
    fn reply<'a>(&'a self, asked: &'a Asked) -> Reply<'a> {
        match self {
            Self::Redirect { client, asked: request } => {
                Reply::Redirect { public: &asked.visitor.public, client, asked: request }
            }
            Self::Device { pending, .. } => Reply::Device(pending),
        }
    }
    /// The one instance that its tokens will open, if not all.
    fn only(&self, asked: &Asked) -> Option<String> {
        let resource = match self {
            Self::Redirect { asked, .. } => Some(asked.resource.clone()),
            Self::Device { pending, .. } => Resource::stored(&asked.visitor.public, &pending.resource),
        };
        match resource {
            Some(Resource::Instance(slug)) => Some(slug),
            _ => None,
        }
    }
}

/// The parameters of a device's code, of the proof that it was compared, and of the organization that was chosen.
const DEVICE: &str = "device";
const COMPARED: &str = "compared";
const ORG: &str = "ocore_org";

fn named(text: &str, name: &str) -> Option<String> {
    url::form_urlencoded::parse(text.as_bytes()).find(|(known, _)| known == name).map(|(_, value)| value.into_owned())
}
/// The address of the consent page of a request.
pub(crate) fn address(text: &str) -> String {
    let path = if named(text, DEVICE).is_some() { routes::CONSENT } else { routes::AUTHORIZE };
    format!("{path}?{text}")
}
/// Whether an address is the consent page of a request.
pub(crate) fn is_request(address: &str) -> bool {
    address.split_once('?').is_some_and(|(path, _)| path == routes::AUTHORIZE || path == routes::CONSENT)
}
/// The same with another organization.
pub(crate) fn with_org(address: &str, org: &str) -> String {
    let (path, query) = address.split_once('?').unwrap_or((address, ""));
    let kept = url::form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name != ORG);
    let query: String = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(kept).append_pair(ORG, org).finish();
    format!("{path}?{query}")
}
/// The address of a device's consent page.
pub(crate) fn of_device(code: &str, compared: &str) -> String {
    let text: String =
        url::form_urlencoded::Serializer::new(String::new()).append_pair(DEVICE, code).append_pair(COMPARED, compared).finish();
    address(&text)
}

/// How a client is shown.
pub(crate) fn shown(known: &KnownClient) -> Client {
    let proof = match known.host() {
        _ if known.client.own => Proof::Own,
        Some(host) => Proof::Host(host),
        None => Proof::Itself,
    };
    Client { name: known.client.name.clone(), logo: None, proof }
}

/// A request that cannot be answered to the client, so the person reads it.
fn not_answered(error: &OauthError) -> Response {
    let view = Problem {
        status: 400,
        what: s::NOT_ANSWERED.to_owned(),
        why: error.description().to_owned(),
        next: s::NOT_ANSWERED_NEXT.to_owned(),
        request_id: String::new(),
    };
    page(StatusCode::BAD_REQUEST, &view, None)
}
fn failed_request(failure: &Failed) -> Response {
    match failure {
        Failed::Refused(error) => not_answered(error),
        Failed::Later { .. } => problem(Kind::TooMany),
        Failed::Fault(fault) => faulty(fault),
    }
}

/// What the person chose on the page.
struct Chosen {
    preset: Preset,
    /// Slugs; none means all, also later ones.
    instances: Option<BTreeSet<String>>,
    categories: Option<BTreeSet<String>>,
    tools: Option<BTreeSet<String>>,
    read_only: bool,
    auto_context: bool,
    key: Option<String>,
    label: String,
    /// Whether the chosen key is to be given more; none until that is said.
    raise: Option<bool>,
}
impl Chosen {
    /// Before anything was chosen: what is asked for, and no more than records.
    fn first(wanted: &Wanted, choices: &Choices) -> Self {
        let writes = choices.role > Role::Viewer && wanted.scopes().permits(kernel::Access::Write);
        Self {
            preset: if writes { Preset::Standard } else { Preset::Read },
            instances: Some(choices.instances.iter().map(|i| i.slug.to_string()).collect()),
            categories: Some(BTreeSet::new()),
            tools: None,
            read_only: !writes,
            auto_context: true,
            key: None,
            label: wanted.client().client.name.chars().take(100).collect(),
            raise: None,
        }
    }
    fn read(form: &[(String, String)]) -> Self {
        let all = |name: &str| field(form, name) == "yes";
        let set = |name: &str| form.iter().filter(|(known, _)| known == name).map(|(_, value)| value.clone()).collect();
        let preset = match field(form, "preset") {
            "read" => Preset::Read,
            "full" => Preset::Full,
            "custom" => Preset::Custom,
            _ => Preset::Standard,
        };
        let key = field(form, "key");
        Self {
            preset,
            instances: (!all("all_instances")).then(|| set("instance")),
            categories: (!all("all_categories")).then(|| set("category")),
            tools: (!all("all_tools")).then(|| set("tool")),
            read_only: all("read_only"),
            auto_context: all("auto_context"),
            key: (!key.is_empty() && key != "new").then(|| key.to_owned()),
            label: field(form, "label").trim().to_owned(),
            raise: match field(form, "use_key") {
                "as_it_is" => Some(false),
                "raised" => Some(true),
                _ => None,
            },
        }
    }
    fn permissions(&self, preset: Preset, choices: &Choices, only: Option<&str>) -> Permissions {
        let here = |i: &&kernel::Instance| only.is_none_or(|slug| *i.slug == *slug);
        let now = || Selection::Only(choices.instances.iter().filter(here).map(|i| i.id).collect());
        let ready = match preset {
            Preset::Read => Some(consents::Preset::Read),
            Preset::Standard => Some(consents::Preset::Standard),
            Preset::Full => Some(consents::Preset::Full),
            Preset::Custom => None,
        };
        if let Some(ready) = ready {
            return ready.permissions(now(), self.auto_context);
        }
        let instances = match &self.instances {
            None => Selection::All,
            // What is not there is not granted.
            Some(slugs) => Selection::Only(choices.instances.iter().filter(|i| slugs.contains(&*i.slug)).map(|i| i.id).collect()),
        };
        let categories = match &self.categories {
            None => Selection::All,
            Some(names) => Selection::Only(names.iter().filter_map(|name| name.parse::<Category>().ok()).collect()),
        };
        Permissions {
            instances,
            categories,
            tools: self.tools.clone().map_or(ToolRule::All, ToolRule::Allow),
            read_only: self.read_only,
            auto_context: self.auto_context,
            ..Permissions::all()
        }
    }
}

/// `GET /authorize`: OAuth's authorization endpoint.
pub(crate) async fn authorize(State(site): State<Arc<Site>>, request: Request) -> Response {
    ask(&site, request).await
}
/// `GET /consent?device=…`: the same for a device whose code the person compared.
pub(crate) async fn device(State(site): State<Arc<Site>>, request: Request) -> Response {
    ask(&site, request).await
}
async fn ask(site: &Site, request: Request) -> Response {
    let text = request.uri().query().unwrap_or_default().to_owned();
    let device = request.uri().path() == routes::CONSENT;
    let asked = match Asked::of(site, request).await {
        Ok(asked) => asked,
        Err(response) => return response,
    };
    if device != named(&text, DEVICE).is_some() {
        return problem(Kind::NotFound);
    }
    if address(&text).len() > LONGEST_PATH {
        // It would be lost on the way through the sign-in.
        return not_answered(&OauthError::new(identity::oauth::Code::InvalidRequest, s::TOO_LONG));
    }
    let Some(signed) = asked.signed.clone() else { return sign_in_first(&address(&text)) };
    let wanted = match Wanted::read(site, &asked, &signed, &text).await {
        Ok(wanted) => wanted,
        Err(response) => return response,
    };
    let choices = match place(site, &asked, &signed, &text, &wanted).await {
        Ok(choices) => choices,
        Err(response) => return response,
    };
    let chosen = Chosen::first(&wanted, &choices);
    show(site, &asked, &signed, &text, &wanted, &choices, &chosen, None, Vec::new()).await
}

/// The organization that the client would work in: the only one, or the one that was chosen.
async fn place(site: &Site, asked: &Asked, signed: &Signed, text: &str, wanted: &Wanted) -> Result<Choices, Response> {
    let who = by(asked, signed);
    let mine = admin::users::organizations(&site.admin, signed.user).await.map_err(|fault| faulty(&fault))?;
    let chosen = named(text, ORG);
    let slug = match (&chosen, mine.as_slice()) {
        (Some(slug), _) if mine.iter().any(|org| org.slug == *slug) => slug.clone(),
        (_, [org]) => org.slug.clone(),
        (_, []) => {
            let mut view = Problem::new(Kind::Forbidden, "");
            (view.why, view.next) = (s::NO_ORG.to_owned(), s::NO_ORG_NEXT.to_owned());
            return Err(page(StatusCode::FORBIDDEN, &view, None));
        }
        _ => return Err(organizations::choice(site, asked, signed, &mine, &address(text), Some(&wanted.client().client.name))),
    };
    let choices = consents::choices(&site.admin, &who, &slug).await.map_err(|fault| faulty(&fault))?;
    if let Some(only) = wanted.only(asked)
        && !choices.instances.iter().any(|i| *i.slug == *only)
    {
        let mut view = Problem::new(Kind::Forbidden, "");
        (view.why, view.next) = (s::no_instance(&only, &choices.org.name), s::NO_INSTANCE_NEXT.to_owned());
        return Err(page(StatusCode::FORBIDDEN, &view, None));
    }
    Ok(choices)
}

#[expect(clippy::too_many_arguments, reason = "everything that the page shows")]
async fn show(
    site: &Site,
    asked: &Asked,
    signed: &Signed,
    text: &str,
    wanted: &Wanted,
    choices: &Choices,
    chosen: &Chosen,
    use_key: Option<UseKey>,
    mistakes: Vec<Mistake>,
) -> Response {
    let now = site.sources.now();
    let client = wanted.client();
    let only = wanted.only(asked);
    let said = |who: &str, permissions: &Permissions| {
        let scopes = consents::granted(wanted.scopes(), permissions, choices.role);
        let allowed = Allowed { who, for_whom: &signed.email, permissions, role: choices.role, scopes: &scopes };
        permission(&site.tools, &allowed, &choices.instances, now)
    };
    let viewer = choices.role == Role::Viewer;
    let presets = [Preset::Read, Preset::Standard, Preset::Full, Preset::Custom].map(|preset| {
        let permissions = chosen.permissions(preset, choices, only.as_deref());
        PresetChoice {
            preset,
            allows: (preset != Preset::Custom).then(|| said(&client.client.name, &permissions)),
            barred: (viewer && matches!(preset, Preset::Standard | Preset::Full)).then(|| s::BARRED_VIEWER.to_owned()),
        }
    });
    let ticked = |names: &Option<BTreeSet<String>>, name: &str| names.as_ref().is_none_or(|names| names.contains(name));
    let full = Permissions::all();
    let categories = Category::ALL.iter().filter(|c| **c != Category::Platform).map(|category| {
        let of: Vec<&Offered> = site.tools.iter().filter(|t| t.facts.category == *category).collect();
        let most =
            |scopes: &Scopes| of.iter().any(|t| policy::most(choices.role, &full, scopes.ceiling(), false, &t.facts).is_some());
        let barred = if !most(&Scopes::new([IdentityScope::Destructive])) {
            Some(s::BARRED_CATEGORY.to_owned())
        } else if !most(wanted.scopes()) {
            Some(s::BARRED_CATEGORY_SCOPE.to_owned())
        } else {
            None
        };
        CategoryChoice {
            name: category.as_str().to_owned(),
            checked: ticked(&chosen.categories, category.as_str()),
            barred,
            tools: of
                .iter()
                .map(|tool| ToolChoice {
                    name: tool.facts.name.to_owned(),
                    title: tool.title.to_owned(),
                    access: match tool.facts.access {
                        kernel::Access::Read => Access::Read,
                        kernel::Access::Write => Access::Write,
                        kernel::Access::Destructive => Access::Destructive,
                    },
                    // Under a category that is not ticked no tool is: a tick there would take the category along.
                    checked: ticked(&chosen.categories, category.as_str()) && ticked(&chosen.tools, tool.facts.name),
                })
                .collect(),
        }
    });
    let scope = Scope {
        instances: choices
            .instances
            .iter()
            .map(|i| InstanceChoice { instance: Instance::of(i), checked: ticked(&chosen.instances, &i.slug) })
            .collect(),
        all_instances: chosen.instances.is_none(),
        categories: categories.collect(),
        all_categories: chosen.categories.is_none(),
        all_tools: chosen.tools.is_none(),
        read_only: chosen.read_only,
    };
    let keys = choices.keys.iter().filter_map(|OwnKey { row, .. }| {
        Some(KeyChoice {
            id: row.id.to_string(),
            label: row.label.clone(),
            allows: said(&row.label, row.permissions.as_ref()?),
            used: row.last_used_at.map(|at| When::of(at, now)),
        })
    });
    let asks = match wanted {
        Wanted::Redirect { asked, .. } => {
            Asks::Redirect { host: asked.redirect.host().to_owned(), loopback: asked.redirect.kind() == RedirectKind::Loopback }
        }
        Wanted::Device { code, pending } => {
            Asks::Device { code: code.clone(), address: pending.address.clone(), since: When::of(pending.since, now) }
        }
    };
    let (csrf, cookie) = asked.token(site);
    let status = if mistakes.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let several = named(text, ORG).is_some();
    let view = Consent {
        csrf,
        request: text.to_owned(),
        client: Client { logo: site.oauth.logo(client).await, ..shown(client) },
        asks,
        you: signed.email.clone(),
        org: choices.org.name.clone(),
        change_org: several.then(|| {
            let next: String = url::form_urlencoded::Serializer::new(String::new()).append_pair("next", &address(text)).finish();
            format!("{}?{next}", routes::ORGANIZATIONS)
        }),
        presets: presets.into(),
        preset: chosen.preset,
        scope,
        custom: said(&client.client.name, &chosen.permissions(Preset::Custom, choices, only.as_deref())),
        auto_context: chosen.auto_context,
        keys: keys.collect(),
        key: chosen.key.clone(),
        label: chosen.label.clone(),
        use_key,
        mistakes,
    };
    with_cookie(page(status, &view, None), cookie)
}

/// `POST /consent`: the decision.
pub(crate) async fn decide(State(site): State<Arc<Site>>, request: Request) -> Response {
    let mut asked = match Asked::of(&site, request).await {
        Ok(asked) => asked,
        Err(response) => return response,
    };
    let form = match asked.form().await {
        Ok(form) => form,
        Err(response) => return response,
    };
    let text = field(&form, "request").to_owned();
    let Some(signed) = asked.signed.clone() else { return sign_in_first(&address(&text)) };
    let wanted = match Wanted::read(&site, &asked, &signed, &text).await {
        Ok(wanted) => wanted,
        Err(response) => return response,
    };
    if field(&form, "do") == "deny" {
        return denied(&site, &asked, &signed, &wanted).await;
    }
    let choices = match place(&site, &asked, &signed, &text, &wanted).await {
        Ok(choices) => choices,
        Err(response) => return response,
    };
    let chosen = Chosen::read(&form);
    if field(&form, "do") != "allow" {
        return show(&site, &asked, &signed, &text, &wanted, &choices, &chosen, None, Vec::new()).await;
    }
    let permissions = chosen.permissions(chosen.preset, &choices, wanted.only(&asked).as_deref());
    let mut mistakes = Vec::new();
    if chosen.key.is_none() {
        let scopes = consents::granted(wanted.scopes(), &permissions, choices.role);
        let (who, for_whom) = (&wanted.client().client.name, &signed.email);
        let allowed = Allowed { who, for_whom, permissions: &permissions, role: choices.role, scopes: &scopes };
        let nothing = || permission(&site.tools, &allowed, &choices.instances, site.sources.now()).is_nothing();
        if chosen.preset == Preset::Custom && nothing() {
            mistakes.push(Mistake::form(s::NOTHING));
        }
        if chosen.label.is_empty() {
            mistakes.push(Mistake::on("label", s::NO_LABEL));
        }
    }
    if !mistakes.is_empty() {
        return show(&site, &asked, &signed, &text, &wanted, &choices, &chosen, None, mistakes).await;
    }
    let through = match &chosen.key {
        None => Through::New { label: chosen.label.clone(), permissions: Box::new(permissions) },
        Some(id) => {
            let found = choices.keys.iter().find(|key| key.row.id.to_string() == *id);
            let Some((OwnKey { row, raisable }, own)) = found.and_then(|key| Some((key, key.row.permissions.as_ref()?))) else {
                return problem(Kind::NotFound);
            };
            let more = Some(consents::raised(own, &permissions)).filter(|more| *raisable && more != own);
            let raise = match (chosen.raise, &more) {
                (Some(false), _) => None,
                (Some(true), Some(_)) => Some(Box::new(permissions)),
                _ => {
                    let said = |permissions: &Permissions| {
                        let scopes = consents::granted(wanted.scopes(), permissions, choices.role);
                        let (who, for_whom) = (row.label.as_str(), signed.email.as_str());
                        let allowed = Allowed { who, for_whom, permissions, role: choices.role, scopes: &scopes };
                        permission(&site.tools, &allowed, &choices.instances, site.sources.now())
                    };
                    let use_key = UseKey { key: row.label.clone(), allows: said(own), raised: more.as_ref().map(said) };
                    let mistakes = vec![Mistake::on("use_key", s::USE_KEY_HOW)];
                    return show(&site, &asked, &signed, &text, &wanted, &choices, &chosen, Some(use_key), mistakes).await;
                }
            };
            Through::Own { key: row.id, raise }
        }
    };
    let (who, reply) = (by(&asked, &signed), wanted.reply(&asked));
    let name = wanted.client().client.name.clone();
    match consents::allow(&site.admin, &site.oauth, &who, &choices.org.slug, &reply, &through).await {
        Ok((_, Some(location))) => onward(&wanted, Going::Allowed, location),
        Ok((_, None)) => page(StatusCode::OK, &DeviceDone { client: name, end: DeviceEnd::Allowed }, None),
        Err(Fault::Refused(why)) => {
            let mistakes = vec![Mistake::form(format!("{} {}", why.message, why.next))];
            show(&site, &asked, &signed, &text, &wanted, &choices, &chosen, None, mistakes).await
        }
        Err(fault) => faulty(&fault),
    }
}

pub(crate) async fn refuse_device(site: &Site, asked: &Asked, signed: &Signed, pending: Pending) -> Response {
    denied(site, asked, signed, &Wanted::Device { code: String::new(), pending }).await
}
async fn denied(site: &Site, asked: &Asked, signed: &Signed, wanted: &Wanted) -> Response {
    let device = match wanted {
        Wanted::Device { pending, .. } => Some(&pending.user_code),
        Wanted::Redirect { .. } => None,
    };
    if let Err(fault) = consents::deny(&site.admin, &by(asked, signed), wanted.client(), device).await {
        return faulty(&fault);
    }
    match wanted {
        Wanted::Redirect { asked: request, .. } => {
            onward(wanted, Going::Denied, site.oauth.refused(&asked.visitor.public, request))
        }
        Wanted::Device { pending, .. } => {
            let client = pending.client.client.name.clone();
            page(StatusCode::OK, &DeviceDone { client, end: DeviceEnd::Denied }, None)
        }
    }
}
fn onward(wanted: &Wanted, kind: Going, href: String) -> Response {
    let host = match wanted {
        Wanted::Redirect { asked, .. } => asked.redirect.host().to_owned(),
        Wanted::Device { .. } => String::new(),
    };
    page(StatusCode::OK, &Onward { kind, name: wanted.client().client.name.clone(), href, host }, None)
}
