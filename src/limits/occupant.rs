//! Who occupies a place: from which part of the network, and how it is made to leave.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv6Net};

/// The part of an address by which connections are counted: an IPv4 address, or the first 64 bits
/// of an IPv6 address, since one customer of a provider has all addresses behind them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Subnet {
    /// An IPv4 address, also where it is mapped to IPv6.
    V4([u8; 4]),
    /// The prefix of an IPv6 address.
    V6([u8; 8]),
}

impl From<IpAddr> for Subnet {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Subnet::V4(address.octets()),
            IpAddr::V6(address) => {
                let [a, b, c, d, e, f, g, h, ..] = address.octets();
                Subnet::V6([a, b, c, d, e, f, g, h])
            }
        }
    }
}

impl From<Subnet> for IpNet {
    fn from(subnet: Subnet) -> Self {
        match subnet {
            Subnet::V4(octets) => IpNet::from(IpAddr::V4(Ipv4Addr::from(octets))),
            Subnet::V6(prefix) => {
                let bits = u128::from(u64::from_be_bytes(prefix)) << 64;
                IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::from_bits(bits), 64))
            }
        }
    }
}

/// What occupies a place, and can be made to leave it.
pub trait Occupant: Send + Sync {
    /// Ends the connection at once, because a newcomer gets its place. Must not block.
    fn evict(&self);
}
