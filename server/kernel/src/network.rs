//! Where ocore may connect to: public networks, and those that the operator lists.
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use crate::{Code, Refusal, refusal};

/// The filter for outgoing connections, asked with every *resolved* address at connect.
#[derive(Debug, Clone, Default)]
pub struct Networks {
    allowed: Vec<IpNet>,
}
impl Networks {
    /// `allowed` are the networks beside the public ones that instances may live in (`instance_networks`).
    pub fn new(allowed: Vec<IpNet>) -> Self {
        Self { allowed }
    }
    /// Metadata services are refused even inside a listed network; other non-public addresses unless listed.
    pub fn check(&self, address: IpAddr) -> Result<(), Refusal> {
        let address = unmapped(address);
        if metadata(address) {
            return Err(refusal(
                Code::Unreachable,
                format!("{address} is a cloud metadata address; ocore never connects there."),
            ));
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
}

/// `::ffff:a.b.c.d` reaches the same host as `a.b.c.d`.
fn unmapped(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(address, IpAddr::V4),
        IpAddr::V4(_) => address,
    }
}

fn metadata(address: IpAddr) -> bool {
    // AWS, GCP and others; ECS tasks and EKS pods; Alibaba; Azure's wire server.
    const V4: [Ipv4Addr; 5] = [
        Ipv4Addr::new(169, 254, 169, 254),
        Ipv4Addr::new(169, 254, 170, 2),
        Ipv4Addr::new(169, 254, 170, 23),
        Ipv4Addr::new(100, 100, 100, 200),
        Ipv4Addr::new(168, 63, 129, 16),
    ];
    // AWS's metadata and EKS pods', GCP's.
    const V6: [Ipv6Addr; 3] = [
        Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),
        Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23),
        Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),
    ];
    match address {
        IpAddr::V4(v4) => V4.contains(&v4),
        IpAddr::V6(v6) => V6.contains(&v6),
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
            assert!(none.check(bad.parse().unwrap()).is_err(), "{bad}");
        }
        for good in ["8.8.8.8", "2606:4700::1111"] {
            assert!(none.check(good.parse().unwrap()).is_ok(), "{good}");
        }
        let lan = Networks::new(vec!["127.0.0.0/8".parse().unwrap(), "169.254.0.0/16".parse().unwrap()]);
        assert!(lan.check("127.0.0.1".parse().unwrap()).is_ok());
        assert!(lan.check("::ffff:127.0.0.1".parse().unwrap()).is_ok());
        assert!(lan.check("10.0.0.1".parse().unwrap()).is_err());
        for metadata in ["169.254.169.254", "169.254.170.23", "168.63.129.16", "::ffff:169.254.169.254"] {
            assert!(lan.check(metadata.parse().unwrap()).is_err(), "{metadata} stays out");
        }
    }
}
