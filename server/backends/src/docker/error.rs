//! What can go wrong on the way into a container, each with what to do about it.
use std::{io, net::IpAddr, path::PathBuf, time::Duration};

/// Result of this module.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failure on the way to Docker, a container, or Odoo in it. `Display` says what was wrong and where; [`Error::advice`] what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[error("There is no Docker socket at {}.", path.display())]
    SocketMissing { path: PathBuf },
    #[error("ocore may not open the Docker socket {}.", path.display())]
    SocketDenied { path: PathBuf },
    #[error("Nobody listens at the Docker socket {}.", path.display())]
    SocketDead { path: PathBuf, source: io::Error },
    #[error("The name {host} has no address.")]
    Unresolved { host: String, source: io::Error },
    #[error("The address {address} of {host} is not one that ocore may connect to.")]
    AddressRefused { host: String, address: IpAddr },
    #[error("{host}:{port} cannot be reached.")]
    Unreachable { host: String, port: u16, source: io::Error },
    /// A certificate or key that was given cannot be used; the server was not asked.
    #[error("The {what} for Docker cannot be used: {why}.")]
    TlsMaterial { what: &'static str, why: String },
    #[error("The TLS connection to {host} failed: {why}.")]
    TlsServer { host: String, why: String },
    #[error("The Docker server {host} refuses ocore's client certificate ({why}).")]
    TlsClient { host: String, why: String },
    #[error("The program ssh is not installed where ocore runs.")]
    SshMissing,
    #[error("The ssh host, user or key is not usable: {why}.")]
    SshSettings { why: String },
    #[error("The ssh connection to {host} failed: {why}.")]
    Ssh { host: String, why: String },
    /// Something answers that is not Docker.
    #[error("What answers at {at} is not Docker's API: {why}.")]
    NotDocker { at: String, why: String },
    /// A socket proxy or an authorization plugin said no.
    #[error("Docker refuses ocore to {doing}: {message}.")]
    Forbidden { doing: &'static str, message: String },
    #[error("Docker failed to {doing} ({status}): {message}.")]
    Api { doing: &'static str, status: u16, message: String },
    #[error("Docker did not {doing} within {} s.", within.as_secs())]
    Timeout { doing: &'static str, within: Duration },
    /// The connection ended while something ran: what ran is killed in the container, what it had committed stays.
    #[error("The connection to Docker ended while it was to {doing}: {why}.")]
    Lost { doing: &'static str, why: String },
    #[error("There is no container {container}.")]
    NoContainer { container: String },
    #[error("The container {container} does not run (it is {state}, exit code {exit_code}).")]
    NotRunning { container: String, state: String, exit_code: i64 },
    #[error("The container {container} is paused.")]
    Paused { container: String },
    #[error("The container {container} is restarting over and over (last exit code {exit_code}).")]
    Restarting { container: String, exit_code: i64 },
    #[error("The container {container} has no user {user}.")]
    NoUser { container: String, user: String },
    #[error("The container {container} runs as root, and ocore never runs anything as root in it.")]
    Root { container: String },
    #[error("The container {container} has no Python 3.")]
    NoPython { container: String },
    #[error("The container {container} has no program {program}.")]
    NoProgram { container: String, program: String },
    #[error("The program cannot be started in {container}: {why}.")]
    Start { container: String, why: String },
    /// The process that answers for the program ended without an answer.
    #[error("What runs programs in {container} ended without an answer: {why}.")]
    Supervisor { container: String, why: String },
    #[error("The container {container} shows no Odoo: {why}.")]
    NoOdoo { container: String, why: String },
    /// Odoo ended before the code began: its last words, as it wrote them.
    #[error("Odoo does not start in {container} for the database {database}: {said}")]
    OdooStart { container: String, database: String, said: String },
    #[error("The log file of {container} cannot be read: {why}")]
    Log { container: String, why: String },
    /// A script of ocore's own raised in Odoo.
    #[error("A look into Odoo failed in {container}: {why}")]
    Script { container: String, why: String },
    #[error("Odoo knows no module {} here.", modules.join(", "))]
    UnknownModules { modules: Vec<String> },
    #[error("{what} is not usable: {why}.")]
    Argument { what: &'static str, why: String },
    #[error("{container} did not serve again within {} s: {why}.", within.as_secs())]
    NotServing { container: String, within: Duration, why: String },
}

impl Error {
    /// What the operator or caller does next.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::SocketMissing { .. } => {
                "Start Docker, or correct the server's endpoint; where ocore runs in a container, mount the socket into it."
            }
            Self::SocketDenied { .. } => {
                "Give the user that runs ocore the socket's group (usually docker); that is root on that host, so consider a socket proxy."
            }
            Self::SocketDead { .. } => "Start the Docker daemon on that host (systemctl start docker).",
            Self::Unresolved { .. } => "Correct the host name of the server's endpoint, or the name service of ocore's host.",
            Self::AddressRefused { .. } => "The operator lists the network in instance_networks if it is meant to be reached.",
            Self::Unreachable { .. } => {
                "Check host, port and firewall, and that Docker listens there (dockerd -H tcp://… --tlsverify)."
            }
            Self::TlsMaterial { .. } => "Store the PEM files again: the server's CA, ocore's client certificate and its key.",
            Self::TlsServer { .. } => {
                "Check that the port speaks TLS, that its certificate names this host, and that the CA stored with the server signed it."
            }
            Self::TlsClient { .. } => "Have ocore's certificate signed by the CA of dockerd's --tlscacert, and check its dates.",
            Self::SshMissing => "Install the OpenSSH client beside ocore, or use a socket or TLS endpoint.",
            Self::SshSettings { .. } => "Correct the server's ssh settings.",
            Self::Ssh { .. } => {
                "Check user, key and known_hosts by hand: ssh USER@HOST docker system dial-stdio must wait silently; the user needs Docker there."
            }
            Self::NotDocker { .. } => "Correct the server's endpoint: it has to be the address of Docker's API.",
            Self::Forbidden { .. } => {
                "Allow it in the socket proxy or authorization plugin: containers, exec, and POST for restarts."
            }
            Self::Api { .. } => "Look at the Docker daemon's log on that host.",
            Self::Timeout { .. } => "Look whether the host or its Docker daemon is overloaded, then try again.",
            Self::Lost { .. } => {
                "Look whether the Docker daemon or the container was restarted; check what the work had committed before repeating it."
            }
            Self::NoContainer { .. } => "Correct the container's name in the instance's connection, or create the container.",
            Self::NotRunning { .. } => "Start the container (docker start); its log tells why it ended.",
            Self::Paused { .. } => "Let the container go on: docker unpause.",
            Self::Restarting { .. } => "Read the container's log: it ends as soon as it starts.",
            Self::NoUser { .. } => "Correct the user in the instance's connection; the official image's is odoo.",
            Self::Root { .. } => {
                "Name an unprivileged user in the instance's connection, who may read Odoo's configuration and write its data folder."
            }
            Self::NoPython { .. } => "Name the interpreter that runs Odoo in the instance's connection.",
            Self::NoProgram { .. } => "Check the program's name and PATH in the container.",
            Self::Start { .. } | Self::Supervisor { .. } => {
                "Try again; if it stays so, look whether the container is short of memory or processes."
            }
            Self::NoOdoo { .. } => "Check that this is the container that runs Odoo, or start Odoo in it.",
            Self::OdooStart { .. } => "Check the database's name and the database settings of the container; odoo_logs has more.",
            Self::Log { .. } => "Check logfile in Odoo's configuration; without one Odoo logs to the container's output.",
            Self::Script { .. } => "Read the error; odoo_logs may have more.",
            Self::UnknownModules { .. } => {
                "Check the names; for modules that were put on the addons path just now, update the list of apps first."
            }
            Self::Argument { .. } => "Correct the argument.",
            Self::NotServing { .. } => "Read odoo_logs: Odoo may still be loading, or end at its start.",
        }
    }

    /// Whether something may have run or been changed: look before doing it again.
    pub fn outcome_unknown(&self) -> bool {
        matches!(self, Self::Lost { .. } | Self::Supervisor { .. })
    }
}
