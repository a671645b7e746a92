//! Every page in every state, with made-up data.
use std::cell::Cell;

use chrono::{DateTime, Utc};
use web::{
    Continues, Environment, Impersonate, ImpersonationOver, Instance, Kind, Mistake, Notice, Over, Problem, Provider, SignIn,
    SignedOut, Template, Tone, When, Why, strings,
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
    impersonation(&mut samples);
    others(&mut samples);
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
        can_reset: false,
    };
    samples.add("sign-in", &plain());
    samples.add(
        "sign-in-refused",
        &SignIn {
            next: text("/authorize?request=1"),
            continues: Some(Continues::Consent { client: text("Claude") }),
            email: text("anna@acme.example"),
            mistakes: vec![Mistake::form(strings::sign_in::REFUSED)],
            providers: vec![
                Provider { name: text("Google"), href: text("/sign-in/google") },
                Provider { name: text("Acme single sign-on"), href: text("/sign-in/acme") },
            ],
            can_reset: true,
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
            continues: Some(Continues::Invite { org: text("Acme Trading GmbH & Co. KG") }),
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
