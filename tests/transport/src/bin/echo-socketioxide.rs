//! The application of `tests/e2e/transcripts/reference.mjs` on socketioxide, whose transcripts are recorded with it:
//! `echo-socketioxide PORT PING_INTERVAL_MS PING_TIMEOUT_MS`.

use std::{fmt, time::Duration};

use axum::Router;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use socketioxide::{
    SocketIo,
    extract::{AckSender, Data, SocketRef, TryData},
    handler::ConnectHandler,
};
use transport_servers::{Done, serve};

#[derive(Deserialize)]
struct Auth {
    token: String,
}

/// The ack of `join_room`, with two attachments.
#[derive(Serialize)]
struct Joined {
    ok: bool,
    update: Bytes,
    state_vector: Bytes,
}

#[derive(Debug)]
struct Unauthorized;

impl fmt::Display for Unauthorized {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("unauthorized")
    }
}

impl std::error::Error for Unauthorized {}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let number = |at: usize| std::env::args().nth(at).and_then(|it| it.parse().ok());
    let (layer, io) = SocketIo::builder()
        .max_payload(4 << 20)
        .ping_interval(Duration::from_millis(number(2).unwrap_or(25_000)))
        .ping_timeout(Duration::from_millis(number(3).unwrap_or(20_000)))
        .build_layer();
    io.ns("/", connected.with(authorize));
    serve(Router::new().layer(layer)).await
}

async fn authorize(_: SocketRef, TryData(auth): TryData<Auth>) -> Result<(), Unauthorized> {
    match auth {
        Ok(auth) if !auth.token.is_empty() => Ok(()),
        _ => Err(Unauthorized),
    }
}

async fn connected(socket: SocketRef) {
    let _ = socket.emit("connection", &Done { ok: true });
    socket.on("join_room", async |ack: AckSender| {
        let (update, state_vector) = (Bytes::from_static(&[0, 0]), Bytes::from_static(&[0]));
        let _ = ack.send(&Joined {
            ok: true,
            update,
            state_vector,
        });
    });
    socket.on("presence_list", async |_: Data<Value>, ack: AckSender| {
        let _ = ack.send(&Done { ok: true });
    });
}
