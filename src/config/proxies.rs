//! The proxies whose statements about the addresses of clients are believed.

use std::{fmt, net::IpAddr, sync::Arc};

use ipnet::IpNet;

use super::read::{ConfigError, Reader};

/// The addresses of trusted proxies. Cheap to clone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxies(Arc<[IpNet]>);

impl Proxies {
    pub(super) const VARIABLE: &str = "TRUSTED_PROXIES";

    pub(super) fn read(reader: &Reader<'_>) -> Result<Self, ConfigError> {
        let Some(text) = reader.text(Self::VARIABLE)? else {
            return Ok(Self::default());
        };
        Self::parse(&text).ok_or_else(|| {
            let expected = "addresses or networks separated by commas, such as 10.0.0.0/8,::1";
            ConfigError::shown(Self::VARIABLE, expected, &text)
        })
    }

    /// Reads addresses and networks in CIDR notation, separated by commas; `None` if one is
    /// neither.
    pub fn parse(text: &str) -> Option<Self> {
        let network = |text: &str| {
            let text = text.trim();
            let single = || text.parse::<IpAddr>().ok().map(IpNet::from);
            text.parse().ok().or_else(single)
        };
        let networks: Option<Vec<_>> = text.split(',').map(network).collect();
        networks.map(|networks| Self(networks.into()))
    }

    /// Whether the address is that of a trusted proxy.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    /// Whether the address of a trusted proxy may be in `network`.
    pub fn overlap(&self, network: IpNet) -> bool {
        let overlaps = |proxies: &IpNet| proxies.contains(&network) || network.contains(proxies);
        self.0.iter().any(overlaps)
    }
}

impl fmt::Display for Proxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("none");
        }
        let networks: Vec<_> = self.0.iter().map(IpNet::to_string).collect();
        f.write_str(&networks.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_overlaps_with_proxies_inside_of_it_and_around_it() {
        let proxies = Proxies::parse("10.0.0.0/8, fd00::5").expect("valid");
        let overlaps = |network: &str| proxies.overlap(network.parse().expect("a network"));
        assert!(overlaps("10.1.2.3/32") && overlaps("fd00::/64"));
        assert!(!overlaps("11.1.2.3/32") && !overlaps("fd00:0:0:1::/64"));
    }
}
