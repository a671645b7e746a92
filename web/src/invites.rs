//! The invites of an organization, for its administrators: list, make, take back.
use std::{collections::BTreeSet, sync::Arc};

use admin::{
    By,
    invites::{self, Listed, NewInvite},
};
use askama::Template;
use axum::{
    extract::{Request, State},
    http::{HeaderValue, StatusCode},
    response::Response,
};
use identity::oauth::resource::PublicUrl;
use kernel::{Category, ExposeSecret as _, Fault, InviteId, Permissions, Selection, TimeDelta, Timestamp, ToolRule};

use crate::{
    consent::{CategoryChoice, InstanceChoice, Preset, PresetChoice, Scope},
    frame::{Frame, Section},
    invite::by,
    organizations::Role,
    parts::{Instance, Mistake, Notice, Phrase, Tone, When, error},
    permission::Permission,
    problem::Kind,
    routes,
    site::{Asked, Site, failed, field, go, page, problem, with_cookie, with_next},
    strings::invites as s,
};

/// The roles that an invite can give.
const ROLES: [Role; 2] = [Role::Viewer, Role::Member];

/// The page `GET /invites`, and the answer to a POST that failed. Making one posts to `/invites`:
/// `csrf label role(viewer|member) preset instance* all_instances category* all_categories tool* all_tools read_only days uses
/// do(make|preview)`, as on [`crate::Consent`]; what is not offered is not posted. Taking one back posts `csrf id` to `/invites/revoke`,
/// vouching for one `csrf id` to `/invites/vouch`. Each posts `org` too.
#[derive(Debug, Template)]
#[template(path = "invites.html")]
pub struct Invites {
    /// The frame.
    pub frame: Frame,
    /// The organization's slug, sent back as `org`.
    pub org: String,
    /// The invites, those that can be accepted first.
    pub invites: Vec<InviteRow>,
    /// The name of the new one.
    pub label: String,
    /// Its role.
    pub role: Role,
    /// What each preset would allow to a member, in this order on the page; a viewer only reads.
    pub presets: Vec<PresetChoice>,
    /// The preset that is chosen.
    pub preset: Preset,
    /// The custom choice.
    pub scope: Scope,
    /// What the custom choice allows, as of the last time it was sent.
    pub custom: Permission,
    /// How many days it lasts, 1 to 30, as typed.
    pub days: String,
    /// How many people may use it, 1 to 100, as typed.
    pub uses: String,
    /// What is wrong.
    pub mistakes: Vec<Mistake>,
}

/// One invite.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InviteRow {
    /// Its id, posted as `id`.
    pub id: String,
    /// Its name.
    pub label: String,
    /// The role that a new member gets.
    pub role: Role,
    /// What the keys that it makes may do.
    pub allows: Permission,
    /// When it ends or ended.
    pub until: When,
    /// How many people have used it.
    pub used: u32,
    /// How many may.
    pub of: u32,
    /// Who vouches for it: who made it, or took it over.
    pub by: String,
    /// Whether they may still invite; if not, nobody can accept it and its keys do nothing until somebody else vouches for it.
    pub vouched: bool,
    /// Whether it can be accepted.
    pub state: InviteState,
}

/// Whether an invite can be accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InviteState {
    /// It can.
    Open,
    /// As many as may have used it.
    Used,
    /// Too old.
    Expired,
    /// Taken back.
    Revoked,
}

impl InviteRow {
    fn tone(&self) -> Tone {
        match (self.open(), self.vouched) {
            (true, true) => Tone::Good,
            (true, false) => Tone::Careful,
            (false, _) => Tone::Plain,
        }
    }

    fn open(&self) -> bool {
        self.state == InviteState::Open
    }

    fn state(&self) -> &'static str {
        if self.open() && !self.vouched { s::ON_HOLD } else { s::state(self.state) }
    }

    fn used(&self) -> String {
        s::used(self.used, self.of)
    }
}

/// An invite was made: its link, shown once. Serve it with `Cache-Control: no-store`.
#[derive(Debug, Template)]
#[template(path = "invite_made.html")]
pub struct InviteMade {
    /// The frame.
    pub frame: Frame,
    /// Its name.
    pub label: String,
    /// The role that a new member gets.
    pub role: Role,
    /// What the keys that it makes may do.
    pub allows: Permission,
    /// The link, whole.
    pub link: String,
    /// When it ends.
    pub until: When,
    /// How many people may use it.
    pub uses: u32,
}

impl InviteMade {
    fn used(&self) -> String {
        s::used(0, self.uses)
    }
}

/// Who asks, for the invites of which organization.
struct Place {
    by: By,
    you: String,
    /// What links begin with.
    public: PublicUrl,
    /// The form token, and its cookie when the browser is to be given one.
    token: (String, Option<HeaderValue>),
    org: kernel::Organization,
    instances: Vec<kernel::Instance>,
}
impl Place {
    /// In the organization of the slug; without one in that which the browser works in.
    async fn of(site: &Site, asked: Asked, slug: &str) -> Result<Self, Response> {
        let (token, chosen) = (asked.token(site), asked.chosen());
        let Asked { visitor, signed, .. } = asked;
        let signed = signed.ok_or_else(sign_in_first)?;
        let by = by(&signed, &visitor);
        let user = signed.user;
        let administered = invites::organizations(&site.admin, &by).await.map_err(|fault| failed(&fault))?;
        let of = if slug.is_empty() { chosen.as_deref() } else { Some(slug) };
        let found = match of.and_then(|slug| administered.iter().find(|org| *org.slug == *slug)) {
            Some(found) => found.clone(),
            None if !slug.is_empty() => return Err(problem(Kind::Forbidden)),
            None => {
                // Operators administer every organization; the pages are about those that they are members of.
                let mine = admin::users::organizations(&site.admin, user).await.map_err(|fault| failed(&fault))?;
                if chosen.as_deref().is_some_and(|chosen| mine.iter().any(|member| member.slug == chosen)) {
                    return Err(problem(Kind::Forbidden));
                }
                let mut own = administered.iter().filter(|org| mine.iter().any(|member| member.org == org.id));
                match (own.next(), own.next()) {
                    (Some(only), None) => only.clone(),
                    (None, _) => return Err(problem(Kind::Forbidden)),
                    _ => return Err(go(&with_next(routes::ORGANIZATIONS, routes::INVITES))),
                }
            }
        };
        let org = found;
        let rows = admin::instances::list(&site.admin, &by, Some(&*org.slug)).await.map_err(|fault| failed(&fault))?;
        let mut instances: Vec<_> = rows.into_iter().map(|row| row.instance).collect();
        instances.retain(|at| at.state != kernel::InstanceState::Archived);
        Ok(Self { by, you: signed.email, public: visitor.public, token, org, instances })
    }
    fn frame(&self, notice: Option<Notice>) -> Frame {
        Frame {
            csrf: self.token.0.clone(),
            you: self.you.clone(),
            org: Some(self.org.name.clone()),
            administers: true,
            section: Some(Section::Invites),
            notice,
        }
    }
}
fn sign_in_first() -> Response {
    let next: String = url::form_urlencoded::Serializer::new(String::new()).append_pair("next", routes::INVITES).finish();
    go(&format!("{}?{next}", routes::SIGN_IN))
}

/// What was sent, or what stands in a new form.
struct Sent {
    label: String,
    role: kernel::Role,
    preset: Preset,
    instances: BTreeSet<String>,
    all_instances: bool,
    categories: BTreeSet<String>,
    all_categories: bool,
    read_only: bool,
    days: String,
    uses: String,
}
impl Sent {
    fn new() -> Self {
        Self {
            label: String::new(),
            role: kernel::Role::Viewer,
            preset: Preset::Read,
            instances: BTreeSet::new(),
            all_instances: false,
            categories: BTreeSet::new(),
            all_categories: false,
            read_only: false,
            days: invites::LIFE.num_days().to_string(),
            uses: "1".to_owned(),
        }
    }
    fn read(form: &[(String, String)]) -> Self {
        let all = |name: &str| form.iter().filter(|(n, _)| n == name).map(|(_, value)| value.clone()).collect();
        let ticked = |name: &str| field(form, name) == "yes";
        Self {
            label: field(form, "label").trim().to_owned(),
            role: if field(form, "role") == Role::Member.value() { kernel::Role::Member } else { kernel::Role::Viewer },
            preset: [Preset::Standard, Preset::Custom]
                .into_iter()
                .find(|preset| preset.value() == field(form, "preset"))
                .unwrap_or(Preset::Read),
            instances: all("instance"),
            all_instances: ticked("all_instances"),
            categories: all("category"),
            all_categories: ticked("all_categories"),
            read_only: ticked("read_only"),
            days: field(form, "days").trim().to_owned(),
            uses: field(form, "uses").trim().to_owned(),
        }
    }
    /// What it gives, on these instances.
    fn permissions(&self, preset: Preset, instances: &[kernel::Instance]) -> Permissions {
        if preset != Preset::Custom {
            return ready_made(preset, instances);
        }
        let ticked = instances.iter().filter(|at| self.instances.contains(&*at.slug)).map(|at| at.id);
        let known = Category::ALL.iter().copied().filter(|c| self.categories.contains(c.as_str()) && offered(*c, self.role));
        Permissions {
            instances: if self.all_instances { Selection::All } else { Selection::only(ticked) },
            categories: if self.all_categories { Selection::All } else { Selection::only(known) },
            read_only: self.read_only,
            ..Permissions::all()
        }
    }
}

/// Whether a category can be ticked for that role; a viewer's invite takes what is left of it.
fn offered(category: Category, role: kernel::Role) -> bool {
    kernel::policy::ceiling(role).categories.contains(&category)
}
/// The ready-made choices, on the instances that there are now.
fn ready_made(preset: Preset, instances: &[kernel::Instance]) -> Permissions {
    const APART: [Category; 3] = [Category::Sql, Category::Shell, Category::Files];
    /// Who only reads may read about modules, users and settings too.
    const STANDARD_APART: [Category; 5] = [Category::Sql, Category::Shell, Category::Files, Category::Modules, Category::System];
    /// What deletes; the rest of what a standard invite lacks, its categories keep out.
    const DELETING: [&str; 6] =
        ["unlink", "batch_delete", "delete_attachment", "delete_note", "delete_filter", "delete_bookmark"];
    let standard = preset == Preset::Standard;
    let apart: &[Category] = if standard { &STANDARD_APART } else { &APART };
    let has = |c: &Category| !apart.contains(c);
    Permissions {
        instances: Selection::only(instances.iter().map(|at| at.id)),
        categories: Selection::only(Category::ALL.iter().copied().filter(has)),
        tools: if standard { ToolRule::Deny(DELETING.map(str::to_owned).into()) } else { ToolRule::All },
        read_only: !standard,
        ..Permissions::all()
    }
}

fn row(listed: Listed, org: &str, instances: &[kernel::Instance], now: Timestamp) -> InviteRow {
    let Listed { row, vouched_by, vouched } = listed;
    let nothing = Permissions::nothing();
    let permissions = row.permissions.as_ref().unwrap_or(&nothing);
    let state = if row.revoked_at.is_some() {
        InviteState::Revoked
    } else if row.used >= row.max_uses {
        InviteState::Used
    } else if row.expires_at <= now {
        InviteState::Expired
    } else {
        InviteState::Open
    };
    InviteRow {
        id: row.id.to_string(),
        label: row.label,
        role: row.role.into(),
        allows: Permission::of((s::WHO, org), permissions, row.role, instances, now),
        until: When::of(row.expires_at, now),
        used: u32::try_from(row.used).unwrap_or(0),
        of: u32::try_from(row.max_uses).unwrap_or(0),
        by: vouched_by,
        vouched,
        state,
    }
}

/// The page, with what was sent and what is wrong with it.
async fn shown(site: &Site, place: &Place, sent: &Sent, mistakes: Vec<Mistake>, notice: Option<Notice>) -> Response {
    let all = match invites::list(&site.admin, &place.by, &place.org.slug).await {
        Ok(all) => all,
        Err(fault) => return failed(&fault),
    };
    let now = site.sources.now();
    let name = place.org.name.as_str();
    let mut rows: Vec<InviteRow> = all.into_iter().map(|listed| row(listed, name, &place.instances, now)).collect();
    rows.sort_by_key(|row| !row.open());
    let allows = |preset| {
        let permissions = sent.permissions(preset, &place.instances);
        Permission::of((s::WHO, name), &permissions, kernel::Role::Member, &place.instances, now)
    };
    let status = if mistakes.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let custom = sent.permissions(Preset::Custom, &place.instances);
    let view = Invites {
        frame: place.frame(notice),
        org: place.org.slug.to_string(),
        invites: rows,
        label: sent.label.clone(),
        role: sent.role.into(),
        presets: vec![
            PresetChoice { preset: Preset::Read, allows: Some(allows(Preset::Read)), barred: None },
            PresetChoice { preset: Preset::Standard, allows: Some(allows(Preset::Standard)), barred: None },
            PresetChoice { preset: Preset::Custom, allows: None, barred: None },
        ],
        preset: sent.preset,
        scope: Scope {
            instances: place
                .instances
                .iter()
                .map(|at| InstanceChoice { instance: Instance::of(at), checked: sent.instances.contains(&*at.slug) })
                .collect(),
            all_instances: sent.all_instances,
            categories: Category::ALL
                .iter()
                .map(|category| CategoryChoice {
                    name: category.as_str().to_owned(),
                    checked: sent.categories.contains(category.as_str()),
                    barred: (!offered(*category, kernel::Role::Member)).then(|| s::BARRED_CATEGORY.to_owned()),
                    tools: Vec::new(),
                })
                .collect(),
            all_categories: sent.all_categories,
            all_tools: true,
            read_only: sent.read_only,
        },
        custom: Permission::of((s::WHO, name), &custom, sent.role, &place.instances, now),
        days: sent.days.clone(),
        uses: sent.uses.clone(),
        mistakes,
    };
    with_cookie(page(status, &view, None), place.token.1.clone())
}

/// `GET /invites?org=`: the list, and the form for a new one.
pub(crate) async fn show(State(site): State<Arc<Site>>, request: Request) -> Response {
    let query: Vec<(String, String)> =
        url::form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes()).into_owned().collect();
    let asked = match Asked::of(&site, request).await {
        Ok(asked) => asked,
        Err(response) => return response,
    };
    let place = match Place::of(&site, asked, field(&query, "org")).await {
        Ok(place) => place,
        Err(response) => return response,
    };
    shown(&site, &place, &Sent::new(), Vec::new(), None).await
}

/// What was posted to one of the addresses, by somebody who administers the organization.
async fn posted(site: &Site, request: Request) -> Result<(Place, Vec<(String, String)>), Response> {
    let mut asked = Asked::of(site, request).await?;
    let form = asked.form().await?;
    let place = Place::of(site, asked, field(&form, "org")).await?;
    Ok((place, form))
}

/// `POST /invites`: makes one and shows its link once, or says what is wrong.
pub(crate) async fn make(State(site): State<Arc<Site>>, request: Request) -> Response {
    let (place, form) = match posted(&site, request).await {
        Ok(posted) => posted,
        Err(response) => return response,
    };
    let sent = Sent::read(&form);
    if field(&form, "do") == "preview" {
        return shown(&site, &place, &sent, Vec::new(), None).await;
    }
    let new = match wanted(&site, &place, &sent) {
        Ok(new) => new,
        Err(mistakes) => return shown(&site, &place, &sent, mistakes, None).await,
    };
    match invites::make(&site.admin, &place.by, &new).await {
        Ok(made) => {
            let now = site.sources.now();
            let permissions = made.row.permissions.unwrap_or_else(Permissions::nothing);
            let view = InviteMade {
                frame: place.frame(None),
                label: made.row.label,
                role: made.row.role.into(),
                allows: Permission::of((s::WHO, &place.org.name), &permissions, made.row.role, &place.instances, now),
                link: place.public.join(&invites::path(made.text.expose_secret())),
                until: When::of(made.row.expires_at, now),
                uses: u32::try_from(made.row.max_uses).unwrap_or(0),
            };
            with_cookie(page(StatusCode::OK, &view, None), place.token.1.clone())
        }
        Err(Fault::Refused(why)) => {
            let mistake = Mistake::form(format!("{} {}", why.message, why.next));
            shown(&site, &place, &sent, vec![mistake], None).await
        }
        Err(fault) => failed(&fault),
    }
}
fn wanted(site: &Site, place: &Place, sent: &Sent) -> Result<NewInvite, Vec<Mistake>> {
    let mut mistakes = Vec::new();
    let permissions = sent.permissions(sent.preset, &place.instances);
    let now = site.sources.now();
    if Permission::of((s::WHO, &place.org.name), &permissions, sent.role, &place.instances, now).is_nothing() {
        mistakes.push(Mistake::form(s::NOTHING));
    }
    if sent.label.is_empty() || sent.label.chars().count() > 100 {
        mistakes.push(Mistake::on("label", s::NO_LABEL));
    }
    let days = sent.days.parse().ok().filter(|days| (1..=invites::LONGEST.num_days()).contains(days));
    if days.is_none() {
        mistakes.push(Mistake::on("days", s::BAD_DAYS));
    }
    let uses = sent.uses.parse().ok().filter(|uses| (1..=invites::MOST_USES).contains(uses));
    if uses.is_none() {
        mistakes.push(Mistake::on("uses", s::BAD_USES));
    }
    match (days, uses) {
        (Some(days), Some(uses)) if mistakes.is_empty() => Ok(NewInvite {
            org: place.org.slug.to_string(),
            vouched_by: None,
            role: sent.role,
            label: sent.label.clone(),
            permissions,
            uses,
            life: TimeDelta::days(days),
        }),
        _ => Err(mistakes),
    }
}

/// What an invite of the list is to have done to it.
enum Deed {
    Revoke,
    Vouch,
}

/// `POST /invites/revoke`.
pub(crate) async fn revoke(State(site): State<Arc<Site>>, request: Request) -> Response {
    change(&site, request, Deed::Revoke).await
}
/// `POST /invites/vouch`.
pub(crate) async fn vouch(State(site): State<Arc<Site>>, request: Request) -> Response {
    change(&site, request, Deed::Vouch).await
}
async fn change(site: &Site, request: Request, deed: Deed) -> Response {
    let (place, form) = match posted(site, request).await {
        Ok(posted) => posted,
        Err(response) => return response,
    };
    let Ok(id) = field(&form, "id").parse::<InviteId>() else { return problem(Kind::Malformed) };
    let done = match deed {
        Deed::Revoke => invites::revoke(&site.admin, &place.by, &place.org.slug, id).await,
        Deed::Vouch => invites::vouch(&site.admin, &place.by, &place.org.slug, id, None).await,
    };
    let (mistakes, notice) = match done {
        Ok(row) => {
            let text = match deed {
                Deed::Revoke => s::revoked(&row.label),
                Deed::Vouch => s::vouched(&row.label),
            };
            (Vec::new(), Some(Notice { tone: Tone::Good, text }))
        }
        Err(Fault::Refused(why)) => (vec![Mistake::form(format!("{} {}", why.message, why.next))], None),
        Err(fault) => return failed(&fault),
    };
    shown(site, &place, &Sent::new(), mistakes, notice).await
}
