//! Every page in every state, with made-up data.
use std::cell::Cell;

use chrono::{DateTime, Utc};
use web::{
    Access, Account, Asks, Authorizations, CategoryChoice, Client, ClientGrants, Consent, Continues, Device, DeviceConfirm,
    DeviceDone, DeviceEnd, Environment, Frame, Going, Grant, Home, Impersonate, ImpersonationOver, Instance, InstanceChoice,
    Invite, InviteDone, InviteMade, InviteOver, InviteRefused, InviteRow, InviteState, Invites, KeyChoice, Kind, Linked, Mistake,
    Notice, Onward, Organization, Organizations, Over, Permission, Power, Preset, PresetChoice, Problem, Proof, Provider, Qr,
    Reach, RecoveryCodes, ResetNew, ResetOver, Role, Scope, SecondStep, SecondStepOn, SecondStepSetUp, Section, Session,
    Sessions, SetUp, SignIn, SignedOut, Template, Tone, ToolChoice, UseKey, When, Why, strings,
};

const NOW: i64 = 1_795_272_000;

fn seconds(from_now: i64) -> When {
    let at = |seconds| DateTime::<Utc>::from_timestamp(seconds, 0).unwrap_or_default();
    When::of(at(NOW + from_now), at(NOW))
}

thread_local! {
    static PREFIX: Cell<&'static str> = const { Cell::new("") };
}

/// Every sample with `prefix` before each string of its data.
#[allow(dead_code, reason = "for the tests")]
pub fn all_with(prefix: &'static str) -> Vec<(String, String)> {
    PREFIX.set(prefix);
    let samples = all();
    PREFIX.set("");
    samples
}

fn text(words: &str) -> String {
    PREFIX.get().to_owned() + words
}

fn production() -> Instance {
    Instance { slug: text("acme-prod"), name: text("Acme ERP"), environment: Environment::Production }
}

fn staging() -> Instance {
    Instance { slug: text("acme-staging"), name: text("Acme staging"), environment: Environment::Staging }
}

fn development() -> Instance {
    Instance { slug: text("acme-dev"), name: text("Acme development"), environment: Environment::Development }
}

struct Samples(Vec<(String, String)>);

impl Samples {
    fn add(&mut self, name: &str, page: &impl Template) {
        let html = page.render().unwrap_or_else(|error| format!("<h1>{name} does not render: {error}</h1>"));
        self.0.push((name.to_owned(), html));
    }
}

/// Name and HTML of every sample.
pub fn all() -> Vec<(String, String)> {
    let mut samples = Samples(Vec::new());
    sign_in(&mut samples);
    home(&mut samples);
    impersonation(&mut samples);
    others(&mut samples);
    set_up(&mut samples);
    organizations(&mut samples);
    consent(&mut samples);
    onward(&mut samples);
    device(&mut samples);
    invite(&mut samples);
    invites(&mut samples);
    authorizations(&mut samples);
    sessions(&mut samples);
    account(&mut samples);
    reset(&mut samples);
    samples.0
}

fn sign_in(samples: &mut Samples) {
    let plain = || SignIn {
        csrf: text("token"),
        next: String::new(),
        continues: None,
        email: String::new(),
        mistakes: Vec::new(),
        notice: None,
        providers: Vec::new(),
    };
    samples.add("sign-in", &plain());
    samples.add(
        "sign-in-refused",
        &SignIn {
            next: text("/authorize?request=1"),
            continues: Some(Continues::Consent),
            email: text("anna@acme.example"),
            mistakes: vec![Mistake::form(strings::sign_in::REFUSED)],
            providers: vec![
                Provider { name: text("Google"), href: text("/openid/google") },
                Provider { name: text("Acme single sign-on"), href: text("/openid/acme") },
            ],
            ..plain()
        },
    );
    samples.add(
        "sign-in-fields",
        &SignIn {
            continues: Some(Continues::Impersonate),
            email: text("anna"),
            mistakes: vec![
                Mistake::on("email", strings::sign_in::BAD_EMAIL),
                Mistake::on("password", strings::sign_in::NO_PASSWORD),
            ],
            ..plain()
        },
    );
    samples.add(
        "sign-in-throttled",
        &SignIn { mistakes: vec![Mistake::form(strings::sign_in::throttled(4))], continues: Some(Continues::Device), ..plain() },
    );
    samples.add(
        "sign-in-after-change",
        &SignIn {
            notice: Some(Notice { tone: Tone::Good, text: text(strings::sign_in::PASSWORD_CHANGED) }),
            continues: Some(Continues::Invite),
            ..plain()
        },
    );
    for (name, why) in [
        ("signed-out", Why::You),
        ("signed-out-everywhere", Why::Everywhere),
        ("signed-out-expired", Why::Expired),
        ("signed-out-revoked", Why::Revoked),
        ("signed-out-disabled", Why::Disabled),
    ] {
        samples.add(name, &SignedOut { why });
    }
}

fn impersonation(samples: &mut Samples) {
    for (name, instance) in
        [("impersonate-production", production()), ("impersonate-staging", staging()), ("impersonate-development", development())]
    {
        samples.add(
            name,
            &Impersonate {
                csrf: text("token"),
                action: text("/impersonate/abc"),
                instance,
                login: text("maria.lopez@acme.example"),
                person: Some(text("Maria Lopez")),
                reason: text("Ticket 4711: she cannot confirm a purchase order; look at what her screen shows."),
                key: text("Claude on my laptop"),
                you: text("anna@acme.example"),
                until: seconds(42),
                mistakes: Vec::new(),
            },
        );
    }
    samples.add(
        "impersonate-hostile",
        &Impersonate {
            csrf: text("\"><script>alert(1)</script>"),
            action: text("/impersonate/\"onfocus=alert(1)"),
            instance: Instance {
                slug: text("x"),
                name: text(
                    "<img src=x onerror=alert(1)>\u{202e}gnp.exe AVeryLongNameWithoutAnySpaceThatWouldPushThePageOutOfItsWidth",
                ),
                environment: Environment::Production,
            },
            login: text("'\"><b>averyveryveryveryveryveryveryverylonglogin@subdomain.of.a.subdomain.example"),
            person: None,
            reason: text("</dd></dl><form action=https://evil.example><button>Click</button></form>\nsecond line"),
            key: text("{{ csrf }} <!-- "),
            you: text("anna&amp;@acme.example"),
            until: seconds(1),
            mistakes: vec![Mistake::form(strings::impersonate::UNREACHABLE)],
        },
    );
    for (name, kind) in [
        ("over-ended", Over::Ended),
        ("over-expired", Over::Expired),
        ("over-used", Over::Used),
        ("over-revoked", Over::Revoked),
        ("over-timed-out", Over::TimedOut),
    ] {
        samples.add(
            name,
            &ImpersonationOver {
                kind,
                instance: Some(production()),
                login: Some(text("maria.lopez@acme.example")),
                at: Some(seconds(-180)),
                you: Some(text("anna@acme.example")),
            },
        );
    }
    for (name, kind) in [("over-not-yours", Over::NotYours), ("over-unknown", Over::Unknown)] {
        samples
            .add(name, &ImpersonationOver { kind, instance: None, login: None, at: None, you: Some(text("anna@acme.example")) });
    }
}

fn others(samples: &mut Samples) {
    for kind in Kind::ALL {
        let name = format!("problem-{kind:?}").to_lowercase();
        samples.add(&name, &Problem::new(kind, "01KAEXW0Y4M4Q3C8V6ZB9T7D2N"));
    }
}

/// A picture of 8 by 8 pixels, as a client's logo.
const LOGO: &str = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAIAAABLbSncAAAAHklEQVR42mP49eHZzfJwIEJjMGAVhUpg1cQwkEYBAB9Ngh5EPTnrAAAAAElFTkSuQmCC";

type Tools = &'static [(&'static str, &'static str, Access)];

const CATEGORIES: [(&str, bool, Tools); 8] = [
    (
        "orm",
        true,
        &[
            ("search_read", "Find and read records", Access::Read),
            ("read", "Read records", Access::Read),
            ("create", "Create a record", Access::Write),
            ("write", "Change records", Access::Write),
            ("unlink", "Delete records", Access::Destructive),
            ("execute_method", "Run a method", Access::Write),
            ("batch_create", "Create many records", Access::Write),
            ("batch_delete", "Delete many records", Access::Destructive),
        ],
    ),
    (
        "search",
        true,
        &[
            ("count", "Count records", Access::Read),
            ("advanced_search", "Search with a domain", Access::Read),
            ("aggregation", "Group and sum up", Access::Read),
            ("fuzzy_search", "Find what is spelled alike", Access::Read),
        ],
    ),
    (
        "metadata",
        true,
        &[("list_models", "List models", Access::Read), ("get_field_metadata", "Fields of a model", Access::Read)],
    ),
    ("reports", true, &[("generate_report", "Make a report", Access::Read)]),
    (
        "sql",
        false,
        &[
            ("execute_sql", "Run SQL", Access::Write),
            ("execute_sql_script", "Run an SQL script", Access::Destructive),
            ("list_tables", "List tables", Access::Read),
        ],
    ),
    ("shell", false, &[("execute_shell", "Run code in the Odoo shell", Access::Write)]),
    ("files", false, &[("file_read", "Read a file", Access::Read), ("file_write", "Write a file", Access::Write)]),
    ("platform", true, &[("ocore_list_instances", "List instances", Access::Read)]),
];

fn read_only(who: &str, account: &str) -> Permission {
    Permission {
        who: text(who),
        for_whom: text(account),
        reads: Reach::Only(vec![production(), staging(), development()]),
        changes: Reach::Nowhere,
        deletes: false,
        read_only_in: None,
        changes_only_in: None,
        guarded: Vec::new(),
        powers: Vec::new(),
        acts_as: None,
        until: None,
    }
}

fn standard(who: &str, account: &str) -> Permission {
    Permission {
        changes: Reach::Only(vec![staging(), development()]),
        read_only_in: Some(vec![
            strings::category::noun("orm"),
            strings::category::noun("search"),
            strings::category::noun("reports"),
        ]),
        changes_only_in: Some(vec![strings::category::noun("orm")]),
        guarded: vec![production()],
        ..read_only(who, account)
    }
}

fn full(who: &str, account: &str) -> Permission {
    Permission {
        reads: Reach::All,
        changes: Reach::All,
        deletes: true,
        powers: vec![Power::Sql, Power::Shell, Power::Files, Power::Restore, Power::Impersonate, Power::Users, Power::Modules],
        guarded: vec![production()],
        acts_as: Some(text("api@acme.example")),
        until: Some(seconds(30 * 86_400)),
        ..read_only(who, account)
    }
}

fn claude() -> Client {
    Client { name: text("Claude"), logo: Some(LOGO.to_owned()), proof: Proof::Host(text("claude.ai")) }
}

fn scope(picked: bool) -> Scope {
    let barred = |name: &str| (name == "shell").then(|| text(strings::consent::BARRED_CATEGORY));
    Scope {
        instances: [production(), staging(), development()]
            .into_iter()
            .map(|instance| InstanceChoice { checked: picked && !instance.environment.production(), instance })
            .collect(),
        all_instances: false,
        categories: CATEGORIES
            .iter()
            .map(|(name, checked, tools)| CategoryChoice {
                name: text(name),
                checked: *checked,
                barred: barred(name),
                tools: tools
                    .iter()
                    .map(|(tool, title, access)| ToolChoice {
                        name: text(tool),
                        title: text(title),
                        access: *access,
                        checked: *checked && *access != Access::Destructive,
                    })
                    .collect(),
            })
            .collect(),
        all_categories: false,
        all_tools: !picked,
        read_only: false,
    }
}

fn consent(samples: &mut Samples) {
    let anna = "anna@acme.example";
    let plain = || Consent {
        csrf: text("token"),
        request: text("01KAEXW0Y4M4Q3C8V6ZB9T7D2N"),
        client: claude(),
        asks: Asks::Redirect { host: text("claude.ai"), loopback: false },
        you: text(anna),
        org: text("Acme Trading"),
        change_org: Some(text("/organizations?next=/authorize")),
        presets: vec![
            PresetChoice { preset: Preset::Read, allows: Some(read_only("Claude", anna)), barred: None },
            PresetChoice { preset: Preset::Standard, allows: Some(standard("Claude", anna)), barred: None },
            PresetChoice { preset: Preset::Full, allows: Some(full("Claude", anna)), barred: None },
            PresetChoice { preset: Preset::Custom, allows: None, barred: None },
        ],
        preset: Preset::Standard,
        scope: scope(false),
        custom: standard("Claude", anna),
        auto_context: true,
        keys: vec![
            KeyChoice {
                id: text("k1"),
                label: text("Claude on my laptop"),
                allows: standard("Claude", anna),
                used: Some(seconds(-7200)),
            },
            KeyChoice { id: text("k2"), label: text("Nightly report"), allows: read_only("Claude", anna), used: None },
        ],
        key: None,
        label: text("Claude"),
        use_key: None,
        mistakes: Vec::new(),
    };
    samples.add("consent", &plain());
    samples.add("consent-custom", &Consent { preset: Preset::Custom, scope: scope(true), ..plain() });
    samples.add(
        "consent-viewer-loopback",
        &Consent {
            client: Client { name: text("Cursor"), logo: None, proof: Proof::Itself },
            asks: Asks::Redirect { host: text("127.0.0.1:51423"), loopback: true },
            preset: Preset::Read,
            presets: vec![
                PresetChoice { preset: Preset::Read, allows: Some(read_only("Cursor", anna)), barred: None },
                PresetChoice { preset: Preset::Standard, allows: None, barred: Some(text(strings::consent::BARRED_VIEWER)) },
                PresetChoice { preset: Preset::Full, allows: None, barred: Some(text(strings::consent::BARRED_VIEWER)) },
                PresetChoice { preset: Preset::Custom, allows: None, barred: None },
            ],
            keys: Vec::new(),
            change_org: None,
            ..plain()
        },
    );
    samples.add(
        "consent-raise",
        &Consent {
            preset: Preset::Full,
            key: Some(text("k2")),
            use_key: Some(UseKey {
                key: text("Nightly report"),
                allows: full("Nightly report", anna),
                raised: Some(full("Nightly report", anna)),
            }),
            mistakes: vec![Mistake::on("use_key", strings::consent::USE_KEY_HOW)],
            ..plain()
        },
    );
    samples.add(
        "consent-nothing",
        &Consent {
            preset: Preset::Custom,
            scope: Scope { instances: Vec::new(), ..scope(true) },
            custom: Permission { reads: Reach::Nowhere, ..read_only("Claude", anna) },
            label: String::new(),
            mistakes: vec![Mistake::form(strings::consent::NOTHING), Mistake::on("label", strings::consent::NO_LABEL)],
            ..plain()
        },
    );
    samples.add(
        "consent-device",
        &Consent {
            client: Client { name: text("ocore command line"), logo: None, proof: Proof::Own },
            asks: Asks::Device { code: text("BCKF-HMLT"), address: text("203.0.113.7"), since: seconds(-40) },
            ..plain()
        },
    );
}

fn onward(samples: &mut Samples) {
    for (name, kind, of, host) in [
        ("onward-allowed", Going::Allowed, "Claude", "claude.ai"),
        ("onward-denied", Going::Denied, "Claude", "claude.ai"),
        ("onward-odoo", Going::Odoo, "Acme ERP", "acme-prod.odoo.example.com"),
        ("onward-provider", Going::Provider, "Google", "accounts.google.com"),
    ] {
        samples.add(
            name,
            &Onward { kind, name: text(of), href: text(&format!("https://{host}/callback?code=1")), host: text(host) },
        );
    }
}

fn device(samples: &mut Samples) {
    samples.add("device", &Device { csrf: text("token"), code: String::new(), mistakes: Vec::new() });
    samples.add(
        "device-unknown",
        &Device {
            csrf: text("token"),
            code: text("BCKF-HMLX"),
            mistakes: vec![Mistake::on("user_code", strings::device::UNKNOWN)],
        },
    );
    for (name, same_address) in [("device-confirm", true), ("device-confirm-elsewhere", false)] {
        samples.add(
            name,
            &DeviceConfirm {
                csrf: text("token"),
                request: text("r1"),
                code: text("BCKF-HMLT"),
                client: text("ocore command line"),
                address: text("2001:db8:85a3:8d3:1319:8a2e:370:7348"),
                same_address,
                since: seconds(-70),
                until: seconds(830),
                mistakes: Vec::new(),
            },
        );
    }
    for (name, end) in
        [("device-allowed", DeviceEnd::Allowed), ("device-denied", DeviceEnd::Denied), ("device-expired", DeviceEnd::Expired)]
    {
        samples.add(name, &DeviceDone { client: text("ocore command line"), end });
    }
}

fn invite(samples: &mut Samples) {
    let plain = || Invite {
        csrf: text("token"),
        action: text("/oauth/invite/abc"),
        org: text("Acme Trading"),
        inviter: text("Anna Berg"),
        role: Role::Viewer,
        member_as: None,
        allows: read_only("Your key", "you"),
        until: seconds(6 * 86_400),
        you: Some(text("ben@acme.example")),
        sign_in: text("/sign-in?next=/oauth/invite/abc"),
        email: String::new(),
        mistakes: Vec::new(),
    };
    samples.add("invite", &plain());
    samples.add("invite-signed-out", &Invite { you: None, role: Role::Member, ..plain() });
    samples.add(
        "invite-member",
        &Invite { member_as: Some(Role::Admin), mistakes: vec![Mistake::form(strings::invite::FAILED)], ..plain() },
    );
    samples.add(
        "invite-done",
        &InviteDone {
            org: text("Acme Trading"),
            role: Role::Viewer,
            label: text("Invite from Anna"),
            key: text("ock_7Yp2c0sQmF1b9ZrXk4VtN8wLhE3uJdGa5TqRi6oB_x9Kd2"),
            url: text("https://ocore.example.com/mcp"),
        },
    );
    for why in [
        InviteRefused::Expired,
        InviteRefused::Used,
        InviteRefused::Revoked,
        InviteRefused::Shrunk,
        InviteRefused::NotYours,
        InviteRefused::Unknown,
    ] {
        let org = (why != InviteRefused::Unknown).then(|| text("Acme Trading"));
        samples
            .add(&format!("invite-{why:?}").to_lowercase(), &InviteOver { why, org, signed_in: why == InviteRefused::NotYours });
    }
}

fn frame(section: Section) -> Frame {
    Frame {
        csrf: text("token"),
        you: text("anna@acme.example"),
        org: Some(text("Acme Trading")),
        administers: section == Section::Invites,
        section: Some(section),
        notice: None,
    }
}

fn home(samples: &mut Samples) {
    let of = |frame, organizations| Home { frame, organizations, url: text("https://ocore.example.com/mcp") };
    let plain = || Frame { section: None, ..frame(Section::Account) };
    samples.add("home", &of(Frame { administers: true, ..plain() }, Some(some_organizations())));
    samples.add("home-nowhere", &of(Frame { org: None, ..plain() }, Some(Vec::new())));
    samples.add("home-unknown", &of(plain(), None));
}

fn invites(samples: &mut Samples) {
    let who = "Who accepts it";
    let row = |id: &str, label: &str, role, allows, state| InviteRow {
        id: text(id),
        label: text(label),
        role,
        allows,
        until: seconds(if state == InviteState::Expired { -2 * 86_400 } else { 6 * 86_400 }),
        used: u32::from(state == InviteState::Used),
        of: 1,
        by: text("anna@acme.example"),
        vouched: true,
        state,
    };
    let plain = || Invites {
        frame: frame(Section::Invites),
        org: text("acme"),
        invites: vec![
            row("i1", "Ben, bookkeeping", Role::Viewer, read_only(who, "Acme Trading"), InviteState::Open),
            InviteRow {
                used: 2,
                of: 25,
                by: text("carla.who.left.last.month@berg-and-sons.example"),
                vouched: false,
                ..row("i2", "Warehouse team", Role::Member, standard(who, "Acme Trading"), InviteState::Open)
            },
            row("i3", "Dora", Role::Member, standard(who, "Acme Trading"), InviteState::Used),
            row("i4", "Emil", Role::Viewer, read_only(who, "Acme Trading"), InviteState::Expired),
            row("i5", "Finn", Role::Viewer, read_only(who, "Acme Trading"), InviteState::Revoked),
        ],
        label: String::new(),
        role: Role::Viewer,
        presets: vec![
            PresetChoice { preset: Preset::Read, allows: Some(read_only(who, "Acme Trading")), barred: None },
            PresetChoice { preset: Preset::Standard, allows: Some(standard(who, "Acme Trading")), barred: None },
            PresetChoice { preset: Preset::Custom, allows: None, barred: None },
        ],
        preset: Preset::Read,
        scope: Scope {
            categories: scope(true).categories.into_iter().map(|of| CategoryChoice { tools: Vec::new(), ..of }).collect(),
            ..scope(true)
        },
        custom: read_only(who, "Acme Trading"),
        days: "7".to_owned(),
        uses: "1".to_owned(),
        mistakes: Vec::new(),
    };
    samples.add("invites", &plain());
    samples.add("invites-empty", &Invites { invites: Vec::new(), ..plain() });
    samples.add(
        "invites-mistakes",
        &Invites {
            frame: Frame {
                notice: Some(Notice { tone: Tone::Good, text: strings::invites::revoked("Ben") }),
                ..frame(Section::Invites)
            },
            invites: Vec::new(),
            role: Role::Member,
            preset: Preset::Custom,
            days: text("forty"),
            uses: text("0"),
            mistakes: vec![
                Mistake::form(strings::invites::beyond("categories, writing")),
                Mistake::on("label", strings::invites::NO_LABEL),
                Mistake::on("days", strings::invites::BAD_DAYS),
                Mistake::on("uses", strings::invites::BAD_USES),
            ],
            ..plain()
        },
    );
    samples.add(
        "invite-made",
        &InviteMade {
            frame: frame(Section::Invites),
            label: text("Ben, bookkeeping"),
            role: Role::Viewer,
            allows: read_only(who, "Acme Trading"),
            link: text("https://ocore.example.com/oauth/invite/ocn_7Yp2c0sQmF1b9ZrXk4VtN8wLhE3uJdGa5TqRi6oBx9Kd2"),
            until: seconds(7 * 86_400),
            uses: 1,
        },
    );
}

fn authorizations(samples: &mut Samples) {
    let anna = "anna@acme.example";
    let grant = |id: &str, org: &str, allows| Grant {
        id: text(id),
        org: text(org),
        key: text("Claude"),
        key_goes: true,
        member: true,
        allows,
        since: seconds(-40 * 86_400),
        used: Some(seconds(-180)),
    };
    let url = || text("https://ocore.example.com/mcp");
    samples.add(
        "authorizations",
        &Authorizations {
            frame: Frame {
                notice: Some(Notice { tone: Tone::Good, text: strings::authorizations::REVOKED.to_owned() }),
                ..frame(Section::Authorizations)
            },
            clients: vec![
                ClientGrants {
                    id: text("c1"),
                    client: claude(),
                    grants: vec![
                        grant("g1", "Acme Trading", standard("Claude", anna)),
                        grant("g2", "Berg & Sons", read_only("Claude", anna)),
                    ],
                },
                ClientGrants {
                    id: text("c2"),
                    client: Client { name: text("Cursor"), logo: None, proof: Proof::Itself },
                    grants: vec![Grant {
                        key: text("Nightly report"),
                        key_goes: false,
                        member: true,
                        used: None,
                        ..grant("g3", "Acme Trading", full("Cursor", anna))
                    }],
                },
            ],
            url: url(),
        },
    );
    samples
        .add("authorizations-empty", &Authorizations { frame: frame(Section::Authorizations), clients: Vec::new(), url: url() });
}

fn sessions(samples: &mut Samples) {
    let session = |id: &str, agent: &str, address: &str, seen: i64, current| Session {
        id: text(id),
        agent: text(agent),
        address: text(address),
        since: seconds(seen - 9 * 86_400),
        seen: seconds(seen),
        current,
    };
    let this = || session("s1", "Firefox on Linux", "198.51.100.23", -2, true);
    samples.add(
        "sessions",
        &Sessions {
            frame: frame(Section::Sessions),
            sessions: vec![
                this(),
                session("s2", "Safari on iPhone", "2001:db8:85a3:8d3:1319:8a2e:370:7348", -7000, false),
                session("s3", "ocore command line on build-host", "203.0.113.7", -400_000, false),
            ],
        },
    );
    samples.add("sessions-one", &Sessions { frame: frame(Section::Sessions), sessions: vec![this()] });
}

fn account(samples: &mut Samples) {
    let plain = || Account {
        frame: frame(Section::Account),
        email: text("anna@acme.example"),
        operator: true,
        has_password: true,
        second_step: None,
        providers: Vec::new(),
        mistakes: Vec::new(),
    };
    samples.add("account", &plain());
    samples.add(
        "account-full",
        &Account {
            second_step: Some(SecondStepOn { since: seconds(-20 * 86_400), codes_left: 2 }),
            providers: vec![
                Linked {
                    id: text("google"),
                    name: text("Google"),
                    account: Some(text("anna.berg@gmail.example")),
                    confirm: String::new(),
                    can_unlink: true,
                },
                Linked {
                    id: text("acme"),
                    name: text("Acme single sign-on"),
                    account: None,
                    confirm: text("confirm_acme"),
                    can_unlink: false,
                },
            ],
            mistakes: vec![
                Mistake::on("current", strings::account::WRONG),
                Mistake::on("new_password", strings::account::SHORT),
                Mistake::on("confirm_off", strings::account::WRONG),
            ],
            ..plain()
        },
    );
    samples.add(
        "account-provider-only",
        &Account {
            operator: false,
            has_password: false,
            providers: vec![Linked {
                id: text("google"),
                name: text("Google"),
                account: Some(text("anna")),
                confirm: String::new(),
                can_unlink: false,
            }],
            ..plain()
        },
    );
    let qr = || Qr { width: 29, dark: (0..29 * 29).map(|at: usize| (at * at / 7 + at / 29).is_multiple_of(3)).collect() };
    let set_up = |mistakes| SecondStepSetUp {
        frame: frame(Section::Account),
        setup: text("t1"),
        qr: qr(),
        secret: text("JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"),
        mistakes,
    };
    samples.add("second-step-set-up", &set_up(Vec::new()));
    samples.add(
        "second-step-set-up-wrong",
        &set_up(vec![Mistake::on("code", strings::account::WRONG_CODE), Mistake::on("password", strings::account::WRONG)]),
    );
    samples.add(
        "recovery-codes",
        &RecoveryCodes {
            frame: frame(Section::Account),
            codes: (10..20).map(|number| text(&format!("k{number}p-9xw{number}"))).collect(),
            turned_on: true,
        },
    );
    let step = |mistakes| SecondStep {
        csrf: text("token"),
        next: String::new(),
        continues: None,
        email: text("anna@acme.example"),
        mistakes,
    };
    samples.add("second-step", &step(Vec::new()));
    samples.add("second-step-wrong", &step(vec![Mistake::on("code", strings::second_step::WRONG)]));
}

fn reset(samples: &mut Samples) {
    samples.add(
        "reset-new",
        &ResetNew {
            csrf: text("token"),
            action: text("/password-reset/abc"),
            email: text("anna@acme.example"),
            mistakes: vec![Mistake::on("new_password", strings::account::COMMON)],
        },
    );
    samples.add("reset-over", &ResetOver);
}

fn set_up(samples: &mut Samples) {
    let plain =
        || SetUp { csrf: text("token"), token: text("one-time"), email: String::new(), org: String::new(), mistakes: Vec::new() };
    samples.add("set-up", &plain());
    samples.add(
        "set-up-mistakes",
        &SetUp {
            email: text("anna@acme.example"),
            org: text("Acme"),
            mistakes: vec![Mistake::on("password", strings::set_up::SHORT)],
            ..plain()
        },
    );
}

fn some_organizations() -> Vec<Organization> {
    let one = |slug: &str, name: &str, role, instances, current| Organization {
        slug: text(slug),
        name: text(name),
        role,
        instances,
        current,
    };
    vec![
        one("acme", "Acme Trading", Role::Owner, 3, true),
        one("berg", "Berg & Sons", Role::Viewer, 1, false),
        one("new", "A new one with a rather long name that wraps on phones", Role::Admin, 0, false),
    ]
}

fn organizations(samples: &mut Samples) {
    let plain = || Organizations {
        csrf: text("token"),
        next: text("/"),
        you: text("anna@acme.example"),
        client: None,
        organizations: some_organizations(),
        mistakes: Vec::new(),
    };
    samples.add("organizations", &plain());
    samples.add("organizations-client", &Organizations { client: Some(text("Claude")), ..plain() });
    samples.add("organizations-none", &Organizations { organizations: Vec::new(), ..plain() });
}
