//! `ocore serve`
use clap::Args;
use secrecy::ExposeSecret;
use serde_json::json;

use super::Given;
use crate::{failure::Result, logging, serve, terminal, wiring::Base};

#[derive(Debug, Args)]
pub struct Serve {
    /// Address and port [env: OCORE_LISTEN] [default: 127.0.0.1:8321]; port 0 takes a free one
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
    /// The URL that clients use, when it is another [env: OCORE_PUBLIC_URL]
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
}

impl Serve {
    pub async fn run(self, given: &Given) -> Result<()> {
        let settings = given.settings(self.listen.as_deref(), self.public_url.as_deref())?;
        logging::for_server(&settings)?;
        let base = Base::open(&settings).await?;
        let serving = serve::start(&settings, base).await?;
        // The one line that scripts wait for.
        let url = format!("{}/mcp", serving.url);
        // Told here and nowhere else: it is in no log.
        let set_up = serving.set_up.as_ref().map(ExposeSecret::expose_secret);
        if given.global.json {
            let mut line = json!({"url": url, "public_url": settings.public_url, "pid": std::process::id()});
            if let (Some(set_up), Some(line)) = (set_up, line.as_object_mut()) {
                line.insert("set_up".to_owned(), set_up.into());
            }
            terminal::out(&line.to_string());
        } else {
            terminal::out(&format!("ocore is ready at {url}"));
            if let Some(set_up) = set_up {
                terminal::out(&format!(
                    "There is no user yet. Within an hour, make the first one in a browser:\n  {set_up}\n\
                     Whoever has this address may run this ocore: give it to nobody."
                ));
            }
        }
        serving.until_told().await
    }
}
