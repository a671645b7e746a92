//! For tests: an authority, and TLS servers on loopback that answer as they are told, however wrong.
use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

pub(crate) const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// Another address of this machine, which no test permits.
pub(crate) const INSIDE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);
impl Authority {
    pub(crate) fn new() -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }
    pub(crate) fn der(&self) -> Vec<u8> {
        self.0.der().to_vec()
    }
    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }
    /// A certificate for names and addresses, and its key; both as PEM and as DER.
    pub(crate) fn certificate(&self, names: &[&str]) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let names: Vec<_> = names.iter().map(|n| (*n).to_owned()).collect();
        (CertificateParams::new(names).unwrap().signed_by(&key, &self.0).unwrap(), key)
    }
    fn acceptor(&self, names: &[&str]) -> TlsAcceptor {
        let (certificate, key) = self.certificate(names);
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let certificate = CertificateDer::from(certificate.der().to_vec());
        let config = rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate], key).unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    /// Method and target.
    pub line: String,
    /// The header lines.
    pub head: String,
    pub body: String,
}
impl Asked {
    pub(crate) fn path(&self) -> &str {
        self.line.split(' ').nth(1).unwrap().split('?').next().unwrap()
    }
}

pub(crate) enum Piece {
    Send(Vec<u8>),
    Wait(Duration),
    /// Again and again, until the other side goes.
    Endless(Vec<u8>, Duration),
}

pub(crate) fn raw(text: impl AsRef<[u8]>) -> Vec<Piece> {
    vec![Piece::Send(text.as_ref().to_vec())]
}
/// An answer with more header lines, each ended.
pub(crate) fn answer(status: u16, content_type: &str, lines: &str, body: impl AsRef<[u8]>) -> Vec<Piece> {
    let body = body.as_ref();
    let head = format!(
        "HTTP/1.1 {status} X\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n{lines}Connection: close\r\n\r\n",
        body.len()
    );
    raw([head.as_bytes(), body].concat())
}

#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// Connections, before any TLS.
    pub connections: AtomicUsize,
    pub requests: AtomicUsize,
    now: AtomicUsize,
    pub most: AtomicUsize,
}

pub(crate) struct Server {
    pub at: SocketAddr,
    pub counts: Arc<Counts>,
}
impl Server {
    pub(crate) fn connections(&self) -> usize {
        self.counts.connections.load(Ordering::SeqCst)
    }
    pub(crate) fn requests(&self) -> usize {
        self.counts.requests.load(Ordering::SeqCst)
    }
    pub(crate) fn port(&self) -> u16 {
        self.at.port()
    }

    pub(crate) async fn start(
        authority: &Authority,
        names: &[&str],
        reply: impl Fn(&Asked) -> Vec<Piece> + Send + Sync + 'static,
    ) -> Self {
        Self::at(SocketAddr::new(HERE, 0), authority, names, reply).await
    }
    pub(crate) async fn at(
        at: SocketAddr,
        authority: &Authority,
        names: &[&str],
        reply: impl Fn(&Asked) -> Vec<Piece> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(at).await.unwrap();
        let at = listener.local_addr().unwrap();
        let (acceptor, reply, counts) = (authority.acceptor(names), Arc::new(reply), Arc::new(Counts::default()));
        let count = Arc::clone(&counts);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                count.connections.fetch_add(1, Ordering::SeqCst);
                let (acceptor, reply, count) = (acceptor.clone(), Arc::clone(&reply), Arc::clone(&count));
                tokio::spawn(async move {
                    let Ok(mut stream) = acceptor.accept(stream).await else { return };
                    let Some(asked) = read(&mut stream).await else { return };
                    count.requests.fetch_add(1, Ordering::SeqCst);
                    let now = count.now.fetch_add(1, Ordering::SeqCst) + 1;
                    count.most.fetch_max(now, Ordering::SeqCst);
                    let pieces = reply(&asked);
                    let _ = write(&mut stream, pieces).await;
                    let _ = stream.shutdown().await;
                    count.now.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self { at, counts }
    }
}

async fn read(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> Option<Asked> {
    let mut all = Vec::new();
    loop {
        let mut buffer = [0; 4096];
        let n = stream.read(&mut buffer).await.ok()?;
        all.extend_from_slice(&buffer[..n]);
        let text = String::from_utf8_lossy(&all).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let (line, lines) = head.split_once("\r\n").unwrap_or((head, ""));
            let lines = lines.to_owned();
            let lower = lines.to_ascii_lowercase();
            let length = lower.lines().find_map(|l| l.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0_usize);
            if body.len() >= length {
                return Some(Asked { line: line.to_owned(), head: lines, body: body.to_owned() });
            }
        }
        if n == 0 {
            return None;
        }
    }
}

async fn write(stream: &mut (impl tokio::io::AsyncWrite + Unpin), pieces: Vec<Piece>) -> std::io::Result<()> {
    for piece in pieces {
        match piece {
            Piece::Send(bytes) => stream.write_all(&bytes).await?,
            Piece::Wait(time) => {
                stream.flush().await?;
                tokio::time::sleep(time).await;
            }
            Piece::Endless(bytes, pause) => loop {
                stream.write_all(&bytes).await?;
                stream.flush().await?;
                tokio::time::sleep(pause).await;
            },
        }
    }
    stream.flush().await
}
