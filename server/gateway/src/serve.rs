//! Connections: HTTP/1.1, Nagle off, slow headers cut, and an end that lets calls finish.
use std::{io, net::SocketAddr, pin::pin, time::Duration};

use axum::{Router, body::Body};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::Service as _;

use crate::edge::Peer;

/// Headers must be complete within this time; an idle connection is kept as long. Above the 60 seconds that reverse
/// proxies keep theirs, so that it is the proxy that closes.
const HEADER_TIME: Duration = Duration::from_secs(75);
/// The most bytes of headers, and of what is read ahead.
const BUFFER: usize = 64 * 1024;

/// Answers connections until `shutdown`; then accepts no more, lets calls under way finish within `grace`, and cuts the rest.
///
/// # Errors
/// Only when the listener itself fails for good.
pub async fn serve(listener: TcpListener, router: Router, shutdown: CancellationToken, grace: Duration) -> io::Result<()> {
    let connections = TaskTracker::new();
    let cut = CancellationToken::new();
    loop {
        let accepted = tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((socket, peer)) => {
                connections.spawn(connection(socket, peer, router.clone(), shutdown.clone(), cut.clone()));
            }
            // The peer gave up between its SYN and our accept.
            Err(e)
                if matches!(
                    e.kind(),
                    io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
                ) => {}
            Err(e) => {
                // Mostly no file descriptors left: wait for one instead of spinning.
                tracing::warn!(error = %e, "cannot accept connections");
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
    }
    drop(listener);
    connections.close();
    if tokio::time::timeout(grace, connections.wait()).await.is_err() {
        tracing::warn!(connections = connections.len(), "calls were still under way at the end of the grace period");
        cut.cancel();
        connections.wait().await;
    }
    Ok(())
}

async fn connection(socket: TcpStream, peer: SocketAddr, router: Router, shutdown: CancellationToken, cut: CancellationToken) {
    // Nagle's algorithm costs an event stream 40 ms per event.
    if let Err(e) = socket.set_nodelay(true) {
        tracing::debug!(error = %e, "TCP_NODELAY");
    }
    let peer = Peer(peer.ip());
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(peer);
        router.clone().call(request.map(Body::new))
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIME)
        .max_buf_size(BUFFER)
        .serve_connection(TokioIo::new(socket), service)
        .with_upgrades();
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        biased;
        ended = connection.as_mut() => ended,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                ended = connection => ended,
                () = cut.cancelled() => Ok(()),
            }
        }
    };
    if let Err(e) = ended {
        tracing::trace!(error = %e, "connection");
    }
}
