//! The clients of requests: their addresses, and the places of their connections.

use std::{net::IpAddr, sync::Arc};

use super::places::Place;

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
