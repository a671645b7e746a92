//! The way into an instance's PostHog: what is given of it, and what it becomes.
use kernel::{Code, ExposeSecret as _, Networks, PostHogConnection, SecretString, refusal};
use url::{Host, Url};

use crate::{Admin, teach::Checked};

/// What is given of the connection; what is none stays as it is.
#[derive(Debug, Clone, Default)]
pub struct PostHogUpdate {
    /// Where PostHog's API is.
    pub url: Option<String>,
    /// The number of the project.
    pub project: Option<u64>,
    /// A personal API key.
    pub key: Option<SecretString>,
}

impl PostHogUpdate {
    /// The connection as it will be.
    ///
    /// # Errors
    /// When something lacks that the instance does not have yet, or the stored key would go to another address: whoever could point a
    /// stored key at a host of their own could read it.
    pub fn onto(&self, admin: &Admin, old: Option<&PostHogConnection>) -> Checked<PostHogConnection> {
        if let Some(key) = &self.key {
            check_key(key.expose_secret())?;
        }
        let url = self.url.as_deref().map(|text| check_url(text, &admin.networks)).transpose()?;
        let (Some(url), Some(project)) = (url.or_else(|| old.map(|o| o.url.clone())), self.project.or(old.map(|o| o.project)))
        else {
            return Err(incomplete());
        };
        match old {
            None if self.key.is_none() => return Err(incomplete()),
            Some(old) if self.key.is_none() && old.url.origin() != url.origin() => {
                return Err(refusal(Code::InvalidArgument, "The stored PostHog key was given for another address.")
                    .next("Give the key again together with the new URL."));
            }
            _ => {}
        }
        if project == 0 || project > i64::MAX.unsigned_abs() {
            return Err(refusal(Code::InvalidArgument, "That is no number of a PostHog project.")
                .next("It is in the project's settings, and in the address of its pages: /project/12345/…"));
        }
        Ok(PostHogConnection { url, project })
    }
}

fn incomplete() -> kernel::Refusal {
    refusal(Code::InvalidArgument, "A PostHog connection has a URL, the number of a project, and a personal API key.")
        .next("Give all three; the project's settings in PostHog show its number.")
}

fn check_url(text: &str, networks: &Networks) -> Checked<Url> {
    const WRITE: &str = "Write it like https://eu.posthog.com, or the address of your own PostHog.";
    let no = |text: &'static str| refusal(Code::InvalidArgument, text).next(WRITE);
    let mut url = Url::parse(text.trim()).map_err(|_| no("The URL of PostHog is no URL."))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(no("The URL of PostHog starts with https://."));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(no("The URL of PostHog has no login in it."));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(no("The URL of PostHog ends before ? and #."));
    }
    let port = url.port_or_known_default().unwrap_or(0);
    let near = match url.host() {
        Some(Host::Ipv4(v4)) => {
            networks.check(v4.into(), port)?;
            Networks::default().check(v4.into(), port).is_err()
        }
        Some(Host::Ipv6(v6)) => {
            networks.check(v6.into(), port)?;
            Networks::default().check(v6.into(), port).is_err()
        }
        Some(Host::Domain(name)) => {
            if name.ends_with(".i.posthog.com") {
                return Err(no("That address only takes events in; questions are answered at the address of the app.")
                    .next("Write https://us.posthog.com or https://eu.posthog.com."));
            }
            !name.contains('.')
        }
        None => return Err(no("The URL of PostHog names a host.")),
    };
    // The key goes with every request.
    if url.scheme() == "http" && !near {
        return Err(no("Over http:// the key could be read on its way.").next("Write https://."));
    }
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    Ok(url)
}

fn check_key(key: &str) -> Checked<()> {
    if key.starts_with("phc_") {
        return Err(refusal(Code::InvalidArgument, "That is the project's key, which only sends events.").next(
            "Make a personal API key (phx_…) in PostHog's settings, with the scopes query:read, feature_flag:read, survey:read.",
        ));
    }
    if key.is_empty() || key.len() > 300 || !key.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(refusal(Code::InvalidArgument, "That is no PostHog key.")
            .next("A personal API key is one word that starts with phx_."));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_posthog() {
        let lan = Networks::new(vec!["10.0.0.0/8".parse().unwrap()]);
        for (text, good) in [
            ("https://eu.posthog.com/", "https://eu.posthog.com/"),
            (" https://analytics.example.com/posthog/ ", "https://analytics.example.com/posthog"),
            ("http://10.1.2.3:8000", "http://10.1.2.3:8000/"),
            ("http://posthog:8000", "http://posthog:8000/"),
        ] {
            assert_eq!(check_url(text, &lan).unwrap().as_str(), good, "{text}");
        }
        for bad in [
            "eu.posthog.com",
            "ftp://eu.posthog.com",
            "http://eu.posthog.com",
            "http://8.8.8.8",
            "https://u:p@eu.posthog.com",
            "https://eu.posthog.com/?a=b",
            "https://us.i.posthog.com",
            "https://192.168.1.1",
            "https://169.254.169.254",
            "https://127.0.0.1",
        ] {
            assert!(check_url(bad, &lan).is_err(), "{bad}");
        }
    }

    #[test]
    fn keys() {
        assert!(check_key("phx_abc").is_ok() && check_key("older0key").is_ok());
        for bad in ["", "phc_abc", "a b", "a\nb", "schlüssel"] {
            assert!(check_key(bad).is_err(), "{bad}");
        }
        assert!(check_key("phc_abc").unwrap_err().next.contains("phx_"));
    }
}
