//! Where ocore may connect to: public networks, and those that the operator lists.
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ipnet::IpNet;

use crate::{Code, Refusal, refusal};

/// The filter for outgoing connections, asked with every *resolved* address at connect.
#[derive(Debug, Clone, Default)]
pub struct Networks {
    allowed: Vec<IpNet>,
    own: Vec<SocketAddr>,
    /// Whether an address is one of this machine's; asked where a listener takes connections to all of them.
    local: Option<fn(IpAddr) -> bool>,
}
impl Networks {
    /// `allowed` are the networks beside the public ones that instances may live in (`instance_networks`).
    pub fn new(allowed: Vec<IpNet>) -> Self {
        Self { allowed, ..Self::default() }
    }
    /// `bound` are the addresses at which ocore itself listens: never connected to, whatever the operator lists, because ocore trusts
    /// who comes from its own host (metrics) and a call to itself could go round for ever. `local` tells whether an address belongs to
    /// this machine, for listeners at all of its addresses.
    #[must_use]
    pub fn with_listeners(mut self, bound: Vec<SocketAddr>, local: fn(IpAddr) -> bool) -> Self {
        self.own = bound;
        self.local = Some(local);
        self
    }
    /// The ports at which ocore listens: to no other does it matter for [`Networks::check`] which port is asked about.
    pub fn own_ports(&self) -> impl Iterator<Item = u16> {
        self.own.iter().map(SocketAddr::port)
    }
    /// Metadata services and ocore's own listeners are refused even inside a listed network; other non-public addresses unless listed.
    pub fn check(&self, address: IpAddr, port: u16) -> Result<(), Refusal> {
        let address = unmapped(address);
        if address.is_unspecified() {
            return Err(refusal(Code::Unreachable, format!("{address} is the address of no host."))
                .next("Name the host by its address or name."));
        }
        if metadata(address) {
            return Err(refusal(
                Code::Unreachable,
                format!("{address} is a cloud metadata address; ocore never connects there."),
            )
            .next("Name the host on which Odoo runs."));
        }
        if self.is_own(address, port) {
            return Err(refusal(
                Code::Unreachable,
                format!("Port {port} of {address} is ocore itself; it never connects to itself."),
            )
            .next("Name the address and port at which Odoo listens."));
        }
        if public(address) || self.allowed.iter().any(|n| n.contains(&address)) {
            return Ok(());
        }
        Err(refusal(
            Code::Unreachable,
            format!("{address} is not a public address, and no network that the operator lists contains it."),
        )
        .next("Ask the operator to add its network to instance_networks (OCORE_INSTANCE_NETWORKS)."))
    }

    fn is_own(&self, address: IpAddr, port: u16) -> bool {
        // A tunnel that ends here reaches the IPv4 listener that its address names.
        let also = embedded(address).map(IpAddr::V4);
        let here = |a: IpAddr| a.is_loopback() || self.local.is_none_or(|local| local(a));
        let local = || here(address) || also.is_some_and(here);
        self.own.iter().filter(|l| l.port() == port).any(|listener| match unmapped(listener.ip()) {
            IpAddr::V4(Ipv4Addr::UNSPECIFIED) => (address.is_ipv4() || also.is_some()) && local(),
            // Takes IPv4 too, unless the system was told otherwise.
            IpAddr::V6(Ipv6Addr::UNSPECIFIED) => local(),
            one => one == address || Some(one) == also,
        })
    }
}

/// `::ffff:a.b.c.d` reaches the same host as `a.b.c.d`.
fn unmapped(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(address, IpAddr::V4),
        IpAddr::V4(_) => address,
    }
}

/// The IPv4 address that a translator or tunnel makes of an IPv6 one: NAT64, 6to4, ISATAP, and the old IPv4-compatible form.
fn embedded(address: IpAddr) -> Option<Ipv4Addr> {
    let IpAddr::V6(v6) = address else { return None };
    let [s0, s1, s2, s3, s4, s5, high, low] = v6.segments();
    let v4 = |high: u16, low: u16| Some(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)));
    match (s0, s1) {
        (0x64, 0xff9b) if s2 <= 1 => v4(high, low),
        (0x2002, _) => v4(s1, s2),
        (0, 0) if [s2, s3, s4, s5] == [0; 4] && high != 0 => v4(high, low),
        _ if s5 == 0x5efe && (s4 & !0x0200) == 0 => v4(high, low),
        _ => None,
    }
}

/// Where clouds answer with credentials to whatever runs on their machines.
fn metadata(address: IpAddr) -> bool {
    // AWS, GCP, Azure, OpenStack and others; ECS tasks; EKS pods; Tencent; Scaleway; Alibaba; Oracle's classic cloud; Azure's wire server.
    const V4: [Ipv4Addr; 8] = [
        Ipv4Addr::new(169, 254, 169, 254),
        Ipv4Addr::new(169, 254, 170, 2),
        Ipv4Addr::new(169, 254, 170, 23),
        Ipv4Addr::new(169, 254, 0, 23),
        Ipv4Addr::new(169, 254, 42, 42),
        Ipv4Addr::new(100, 100, 100, 200),
        Ipv4Addr::new(192, 0, 0, 192),
        Ipv4Addr::new(168, 63, 129, 16),
    ];
    // AWS and EKS pods; GCP; Oracle; OpenStack; Scaleway.
    const V6: [Ipv6Addr; 6] = [
        Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),
        Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23),
        Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),
        Ipv6Addr::new(0xfd00, 0xc1, 0, 0, 0, 0, 0xa9fe, 0xa9fe),
        Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0xa9fe, 0xa9fe),
        Ipv6Addr::new(0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42),
    ];
    match address {
        IpAddr::V4(v4) => V4.contains(&v4),
        IpAddr::V6(v6) => V6.contains(&v6) || embedded(address).is_some_and(|v4| V4.contains(&v4)),
    }
}

/// Globally reachable, by the IANA special-purpose registries (RFC 6890 and successors).
fn public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            !(v4.is_private()
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.is_broadcast()
                || v4.is_documentation()
                || v4.is_multicast()
                || a == 0
                || a >= 240
                || (a == 100 && (64..128).contains(&b))
                || (a == 192 && b == 0 && c == 0)
                || (a == 192 && b == 88 && c == 99)
                || (a == 198 && (b == 18 || b == 19)))
        }
        IpAddr::V6(v6) => {
            let s = v6.segments();
            let [first, second, ..] = s;
            // Only 2000::/3 is global unicast; within it tunnels that embed an IPv4 address and documentation are out.
            (first & 0xe000) == 0x2000
                && first != 0x2002
                && !(first == 0x2001
                    && (second == 0 || second == 0xdb8 || (second & 0xfff0) == 0x10 || (second & 0xfff0) == 0x20))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(networks: &Networks, address: &str, port: u16) -> Result<(), Refusal> {
        networks.check(address.parse().unwrap(), port)
    }
    fn everything() -> Networks {
        Networks::new(vec!["0.0.0.0/0".parse().unwrap(), "::/0".parse().unwrap()])
    }

    #[test]
    fn only_public_addresses_and_listed_networks() {
        let none = Networks::default();
        for bad in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.1.1",
            "0.0.0.0",
            "100.64.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "fe80::1",
            "fc00::1",
            "::ffff:127.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "ff02::1",
        ] {
            assert!(check(&none, bad, 443).is_err(), "{bad}");
        }
        for good in ["8.8.8.8", "2606:4700::1111"] {
            assert!(check(&none, good, 443).is_ok(), "{good}");
        }
        let lan = Networks::new(vec!["127.0.0.0/8".parse().unwrap()]);
        assert!(check(&lan, "127.0.0.1", 8069).is_ok());
        assert!(check(&lan, "::ffff:127.0.0.1", 8069).is_ok());
        assert!(check(&lan, "10.0.0.1", 8069).is_err());
    }

    #[test]
    fn metadata_stays_out_whatever_is_listed() {
        for address in [
            "169.254.169.254",
            "169.254.170.2",
            "169.254.170.23",
            "168.63.129.16",
            "100.100.100.200",
            "fd00:ec2::254",
            "fd00:ec2::23",
            "fd20:ce::254",
            "fe80::a9fe:a9fe",
            "::ffff:169.254.169.254",
            "::169.254.169.254",
            "64:ff9b::169.254.169.254",
            "64:ff9b:1::169.254.169.254",
            "2002:a9fe:a9fe::",
            "2002:a83f:8110::1",
            "fe80::5efe:169.254.169.254",
            "2606:4700::200:5efe:168.63.129.16",
            "0.0.0.0",
            "::",
        ] {
            let refused = check(&everything(), address, 80).unwrap_err();
            assert!(refused.code == Code::Unreachable && !refused.next.is_empty(), "{address}");
        }
        for near in ["169.254.169.253", "168.63.129.17", "fd00:ec2::255", "64:ff9b::8.8.8.8", "::1"] {
            assert!(check(&everything(), near, 80).is_ok(), "{near}");
        }
    }

    #[test]
    fn ocore_never_connects_to_itself() {
        let mine = |address: IpAddr| address.is_loopback() || ["10.0.0.5", "fd00::5"].contains(&address.to_string().as_str());
        let at = |bound: &[&str]| everything().with_listeners(bound.iter().map(|a| a.parse().unwrap()).collect(), mine);

        let one = at(&["127.0.0.1:8321", "10.0.0.5:9000"]);
        assert_eq!(one.own_ports().collect::<Vec<_>>(), [8321, 9000]);
        for own in ["127.0.0.1", "::ffff:127.0.0.1", "64:ff9b::127.0.0.1", "2002:7f00:1::", "::127.0.0.1"] {
            assert!(check(&one, own, 8321).unwrap_err().message.contains("8321"), "{own}");
        }
        assert!(check(&one, "10.0.0.5", 9000).is_err());
        for (other, port) in [("127.0.0.1", 8069), ("127.0.0.2", 8321), ("10.0.0.5", 8321), ("127.0.0.1", 9000), ("::1", 8321)] {
            assert!(check(&one, other, port).is_ok(), "{other} {port}");
        }

        for (bound, six) in [("0.0.0.0:8321", false), ("[::]:8321", true), ("[::ffff:0.0.0.0]:8321", false)] {
            let all = at(&[bound]);
            for own in ["127.0.0.1", "127.9.9.9", "10.0.0.5", "::ffff:10.0.0.5", "64:ff9b::7f00:1", "64:ff9b::10.0.0.5"] {
                assert!(check(&all, own, 8321).is_err(), "{own} at {bound}");
                assert!(check(&all, own, 8069).is_ok(), "{own} at {bound}");
            }
            for own in ["::1", "fd00::5"] {
                assert_eq!(check(&all, own, 8321).is_err(), six, "{own} at {bound}");
            }
            for other in ["10.0.0.6", "8.8.8.8", "2606:4700::1111"] {
                assert!(check(&all, other, 8321).is_ok(), "{other} at {bound}");
            }
        }
    }
}
