//! The life of a server: listen, say so, answer, and end without losing a call.
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use crate::{
    config::Settings,
    failure::{Failure, Result},
    http, jobs, pages,
    wiring::{Base, Node},
};

/// How long writes may go on after the grace period: they are cut off by their own deadlines, and their audit rows are completed.
const DRAIN: Duration = Duration::from_secs(10);

/// A server that answers.
pub struct Serving {
    /// Where it answers: scheme, address and port.
    pub url: String,
    /// Where the first user is made, while there is none. For the eyes of who runs this alone.
    pub set_up: Option<SecretString>,
    node: Node,
    server: JoinHandle<std::io::Result<()>>,
    metrics: Option<JoinHandle<std::io::Result<()>>>,
    jobs: Vec<JoinHandle<()>>,
    stop_jobs: CancellationToken,
}

/// Opens the store, listens and answers.
pub async fn start(settings: &Settings, mut base: Base) -> Result<Serving> {
    let listener = listen(&settings.listen).await?;
    let metrics_listener = match settings.metrics_listen {
        Some(address) => Some(listen(&address.to_string()).await?),
        None => None,
    };
    for remark in &settings.remarks {
        tracing::warn!("{remark}");
    }
    let bound = |l: &TcpListener| l.local_addr().map_err(|e| Failure::because("The address could not be read", &e));
    let address = bound(&listener)?;
    let metrics_address = metrics_listener.as_ref().map(bound).transpose()?;
    base.listens_at([Some(address), metrics_address].into_iter().flatten().collect());
    let mut node = Node::start(settings, base).await?;
    let url = http::local(&address.to_string());
    let origin = settings.public_url.as_ref().map_or(&*url, |url| url.as_str().trim_end_matches('/'));
    let set_up =
        node.set_up.take().map(|token| format!("{origin}{}?token={}", web::routes::SET_UP, token.expose_secret()).into());
    let grace = settings.shutdown_grace;
    let metrics = metrics_listener
        .map(|l| tokio::spawn(gateway::serve(l, gateway::metrics_router(&node.gateway), node.shutdown.clone(), Duration::ZERO)));
    let server = tokio::spawn(gateway::serve(listener, pages::router(&node), node.shutdown.clone(), grace));
    let stop_jobs = CancellationToken::new();
    let jobs = jobs::start(&node, &stop_jobs);
    tracing::info!(%address, store = %settings.database_url, version = env!("CARGO_PKG_VERSION"), "ready");
    Ok(Serving { url, set_up, node, server, metrics, jobs, stop_jobs })
}

async fn listen(address: &str) -> Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|e| {
        let failure = Failure::because(&format!("Cannot listen on {address}"), &e);
        match e.kind() {
            std::io::ErrorKind::AddrInUse => {
                failure.next("Another program has that port: end it, or choose another with --listen (port 0 takes a free one).")
            }
            std::io::ErrorKind::PermissionDenied => {
                failure.next("Ports below 1024 are for root: choose a higher one with --listen.")
            }
            _ => failure.next("Write address:port, like 127.0.0.1:8321."),
        }
    })
}

impl Serving {
    /// Serves until SIGTERM or SIGINT, then lets calls finish. A second signal ends the process at once.
    pub async fn until_told(mut self) -> Result<()> {
        let failed = |e: std::io::Error| Failure::because("Signals cannot be received", &e);
        let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
        let told = async |terminate: &mut tokio::signal::unix::Signal, interrupt: &mut tokio::signal::unix::Signal| {
            tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
            }
        };
        tokio::select! {
            signal = told(&mut terminate, &mut interrupt) => {
                tracing::info!(signal, calls = self.node.dispatch.in_flight(), "ending: calls under way may finish");
            }
            ended = &mut self.server => {
                let why = match ended {
                    Ok(Ok(())) => "the listener ended".to_owned(),
                    Ok(Err(e)) => e.to_string(),
                    Err(e) => e.to_string(),
                };
                self.end(true).await;
                return Err(Failure::failed(format!("The server ended by itself: {why}.")));
            }
        }
        tokio::select! {
            () = self.end(false) => Ok(()),
            _ = told(&mut terminate, &mut interrupt) => Err(Failure::failed("Ended at once by a second signal; calls under way were cut off.")),
        }
    }

    async fn end(self, server_ended: bool) {
        let Self { node, server, metrics, jobs, stop_jobs, .. } = self;
        node.shutdown.cancel();
        if !server_ended {
            let _ = server.await;
        }
        if tokio::time::timeout(DRAIN, node.dispatch.drain()).await.is_err() {
            tracing::warn!(calls = node.dispatch.in_flight(), "calls did not end; the audit will show their outcome as unknown");
        }
        stop_jobs.cancel();
        for job in jobs {
            let _ = job.await;
        }
        if let Some(metrics) = metrics {
            let _ = metrics.await;
        }
        jobs::last(&node).await;
        // The gateway and dispatcher hold the audit too; what they queue after this is refused, and nobody is left to ask.
        node.close().await;
        tracing::info!("ended");
    }
}
