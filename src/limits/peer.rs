//! The clients of requests: their addresses, and the places of their connections.

use std::{net::IpAddr, sync::Arc};

use super::Place;

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

/// What occupies a place, and can be made to leave it.
pub trait Occupant: Send + Sync {
    /// Ends the connection at once, because a newcomer gets its place. Must not block.
    fn evict(&self);
}

/// The client that sends a request: its address, and the place of the connection on which the
/// request came.
#[derive(Clone)]
pub struct Peer {
    /// The client's address; behind a trusted proxy, the one that the proxy names.
    pub address: IpAddr,
    /// The place of the TCP connection.
    pub place: Arc<Place>,
    /// Whether the TCP connection is that of a proxy, which many clients share.
    pub is_proxied: bool,
}

tokio::task_local! {
    static PEER: Peer;
}

impl Peer {
    /// Answers a request of this client with `work`.
    pub fn answering<F: Future>(self, work: F) -> impl Future<Output = F::Output> {
        PEER.scope(self, work)
    }

    /// The client whose request is being answered by the present task; `None` outside of a request.
    pub fn present() -> Option<Self> {
        PEER.try_with(Clone::clone).ok()
    }
}
