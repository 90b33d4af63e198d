//! What the relays have in common: the payloads, and the HTTP server.

use axum::{Router, serve::ListenerExt};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

/// The worker threads of both relays.
pub const THREADS: usize = 2;

/// The most messages that wait for one client.
pub const MESSAGES_MAX: usize = 1 << 20;

/// The payload of `join_room`.
#[derive(Deserialize)]
pub struct Join {
    pub room: String,
}

/// The payload of `document_update`, which is relayed as it is.
#[derive(Deserialize, Serialize)]
pub struct Update {
    pub room: String,
    pub update: Bytes,
}

/// An ack.
#[derive(Clone, Copy, Serialize)]
pub struct Done {
    pub ok: bool,
}

/// Serves `router` on the port of the first argument until the process is ended.
pub async fn serve(router: Router) -> std::io::Result<()> {
    let port = std::env::args().nth(1).and_then(|port| port.parse().ok());
    let listener = TcpListener::bind(("127.0.0.1", port.unwrap_or(3003))).await?;
    let listener = listener.tap_io(|tcp| {
        // A connection without the option works as well.
        let _ = tcp.set_nodelay(true);
    });
    axum::serve(listener, router).await
}
