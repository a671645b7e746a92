//! Host names that lead where a test says, for the real program: it runs in a mount namespace with a hosts file and a resolver of its
//! own, and trusts the test's authority alone.
use std::{os::unix::fs::PermissionsExt as _, path::Path, process::Command};

use tempfile::TempDir;

use super::{Ocore, cannot_run, process::program};

/// The name server that it asks for what the hosts file does not say; nobody need be there.
pub const NAME_SERVER: &str = "127.77.0.1:53";

pub struct Names(TempDir);
impl Names {
    /// `hosts` as in a hosts file, `authority` as PEM. None where this machine has no such namespaces for us.
    pub fn new(hosts: &str, authority: &str) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("a file");
        write("hosts", &format!("127.0.0.1 localhost\n{hosts}\n"));
        let server = NAME_SERVER.split(':').next().expect("an address");
        write("resolv.conf", &format!("nameserver {server}\noptions timeout:2 attempts:2\n"));
        write("authority.pem", authority);
        let (own, program) = (folder.path().display(), program());
        // The rights to mount are root's, or those that one has in a namespace of users.
        let inside = "mount --bind \"$0/hosts\" /etc/hosts && mount --bind \"$0/resolv.conf\" /etc/resolv.conf && exec \"$@\"";
        write(
            "ocore",
            &format!(
                "#!/bin/sh\n[ \"$(id -u)\" = 0 ] || as=--map-root-user\nexec unshare --mount $as sh -c '{inside}' '{own}' '{}' \"$@\"\n",
                program.display()
            ),
        );
        let names = Self(folder);
        std::fs::set_permissions(names.program(), std::fs::Permissions::from_mode(0o755)).expect("rights");
        match Command::new(names.program()).arg("--version").output() {
            Ok(output) if output.status.success() => Some(names),
            Ok(output) => {
                cannot_run(&format!("a mount namespace is not to be had: {}", String::from_utf8_lossy(&output.stderr)));
                None
            }
            Err(why) => {
                cannot_run(&format!("a mount namespace is not to be had: {why}"));
                None
            }
        }
    }
    fn program(&self) -> std::path::PathBuf {
        self.0.path().join("ocore")
    }
    /// A data directory, for a server that knows these names and connects to these networks.
    pub fn ocore(&self, networks: &str) -> Ocore {
        let mut ocore = Ocore::with_program(self.program());
        let authority: &Path = &self.0.path().join("authority.pem");
        ocore.env("SSL_CERT_FILE", authority.to_str().expect("a path"));
        ocore.env("OCORE_INSTANCE_NETWORKS", networks);
        // A name may stand there with several addresses.
        ocore.env("RESOLV_MULTI", "on");
        ocore
    }
}
