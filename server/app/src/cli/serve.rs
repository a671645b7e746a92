//! `ocore serve`
use clap::Args;
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
        if given.global.json {
            terminal::out(&json!({"url": url, "public_url": settings.public_url, "pid": std::process::id()}).to_string());
        } else {
            terminal::out(&format!("ocore is ready at {url}"));
        }
        serving.until_told().await
    }
}
