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
