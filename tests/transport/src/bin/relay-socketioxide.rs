//! Relays updates between the members of a room, on socketioxide: `relay-socketioxide PORT [sync|async] [QUEUE]`.
//!
//! With `sync`, the default, handlers do their work in their body, and their messages keep their order; with `async`,
//! they are the `async` closures of socketioxide's documentation. `QUEUE` is its `max_buffer_size`, in packets.

use std::{future::ready, time::Duration};

use axum::Router;
use futures_util::FutureExt;
use socketioxide::{
    SocketIo,
    extract::{AckSender, Data, SocketRef},
};
use transport_servers::{Done, Join, MESSAGES_MAX, THREADS, Update, serve};

/// The size of this server's own read buffer, instead of 128 KiB for every connection.
const READ_BUFFER_BYTES: usize = 4 << 10;
const UPDATE: &str = "document_update";

fn main() -> std::io::Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let is_async = arguments.get(2).is_some_and(|mode| mode == "async");
    let queue = arguments.get(3).and_then(|queue| queue.parse().ok());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(THREADS)
        .enable_all()
        .build()?;
    runtime.block_on(run(is_async, queue.unwrap_or(MESSAGES_MAX)))
}

async fn run(is_async: bool, queue: usize) -> std::io::Result<()> {
    let (layer, io) = SocketIo::builder()
        .max_buffer_size(queue)
        .max_payload(64 << 20)
        .ws_read_buffer_size(READ_BUFFER_BYTES)
        .ping_interval(Duration::from_secs(25))
        .build_layer();
    io.ns("/", move |socket: SocketRef| {
        socket.on("join_room", join);
        if is_async {
            socket.on(UPDATE, relay_async);
        } else {
            socket.on(UPDATE, relay);
        }
        let _ = socket.emit("connection", &Done { ok: true });
        ready(())
    });
    serve(Router::new().layer(layer)).await
}

fn join(
    socket: SocketRef,
    Data(Join { room }): Data<Join>,
    ack: AckSender,
) -> std::future::Ready<()> {
    socket.join(room);
    // The client may be gone already.
    let _ = ack.send(&Done { ok: true });
    ready(())
}

fn relay(socket: SocketRef, Data(update): Data<Update>, ack: AckSender) -> std::future::Ready<()> {
    let room = update.room.clone();
    // With the adapter in memory the first poll sends it.
    let _ = socket.to(room).emit(UPDATE, &update).now_or_never();
    let _ = ack.send(&Done { ok: true });
    ready(())
}

async fn relay_async(socket: SocketRef, Data(update): Data<Update>, ack: AckSender) {
    let room = update.room.clone();
    let _ = socket.to(room).emit(UPDATE, &update).await;
    let _ = ack.send(&Done { ok: true });
}
