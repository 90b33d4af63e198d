//! The relay with Socket.IO: it relays the messages of rooms on socketioxide and does nothing else.
//!
//! Handlers are plain closures that do their work in their body: socketioxide
//! spawns what they return, and with `async` handlers frames of one sender
//! overtake each other.

use std::{future::ready, time::Duration};

use anyhow::Result;
use axum::{Router, serve::ListenerExt};
use bytes::Bytes;
use futures_util::FutureExt;
use serde::{Deserialize, Serialize};
use socketioxide::{
    SocketIo,
    extract::{AckSender, Data, SocketRef},
};
use tokio::net::TcpListener;

/// The most packets queued for one client. The default, 128, loses packets without an error.
const QUEUE_PACKETS_MAX: usize = 1 << 20;

/// The same size as the server's, instead of 128 KiB for every connection.
const READ_BUFFER_BYTES: usize = 4 << 10;

#[derive(Deserialize)]
struct Join {
    room: String,
}

#[derive(Deserialize, Serialize)]
struct Payload {
    room: String,
    update: Bytes,
}

#[derive(Clone, Copy, Serialize)]
struct Done {
    ok: bool,
}

/// Relays until the process is ended.
pub async fn run(port: u16) -> Result<()> {
    let (layer, io) = SocketIo::builder()
        .max_buffer_size(QUEUE_PACKETS_MAX)
        .max_payload(64 << 20)
        .ws_read_buffer_size(READ_BUFFER_BYTES)
        .ping_interval(Duration::from_secs(25))
        .build_layer();
    io.ns("/", |socket: SocketRef| {
        socket.on(
            "join_room",
            |socket: SocketRef, Data(Join { room }), ack: AckSender| {
                socket.join(room);
                // The client may be gone already.
                let _ = ack.send(&Done { ok: true });
                ready(())
            },
        );
        for event in ["document_update", "awareness_update"] {
            socket.on(
                event,
                move |socket: SocketRef, Data(payload): Data<Payload>, ack: AckSender| {
                    let room = payload.room.clone();
                    // With the adapter in memory the first poll sends it.
                    let _ = socket.to(room).emit(event, &payload).now_or_never();
                    let _ = ack.send(&Done { ok: true });
                    ready(())
                },
            );
        }
        let _ = socket.emit("connection", &Done { ok: true });
        ready(())
    });
    let listener = TcpListener::bind(("127.0.0.1", port)).await?.tap_io(|tcp| {
        // A connection without the option works as well.
        let _ = tcp.set_nodelay(true);
    });
    axum::serve(listener, Router::new().layer(layer)).await?;
    Ok(())
}
