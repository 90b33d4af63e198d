//! The relay without Socket.IO: it relays the messages of rooms on tokio-tungstenite and does
//! nothing else.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
};
use tokio_tungstenite::{
    accept_async_with_config,
    tungstenite::{Message, protocol::WebSocketConfig},
};

/// The same size as the server's, instead of 128 KiB for every connection.
const READ_BUFFER_BYTES: usize = 4 << 10;

type Queue = mpsc::UnboundedSender<Bytes>;
type Rooms = Arc<Mutex<HashMap<Bytes, Arc<Room>>>>;

/// The members of one room; the slot of a member that has left is empty.
#[derive(Default)]
struct Room {
    members: Mutex<Vec<Option<Queue>>>,
}

impl Room {
    fn join(&self, queue: Queue) -> usize {
        let mut members = lock(&self.members);
        members.push(Some(queue));
        members.len() - 1
    }

    fn leave(&self, place: usize) {
        lock(&self.members)[place] = None;
    }

    fn relay(&self, from: usize, bytes: &Bytes) {
        for (place, queue) in lock(&self.members).iter().enumerate() {
            if let Some(queue) = queue
                && place != from
            {
                // A member whose connection has ended removes itself.
                let _ = queue.send(bytes.clone());
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Relays until the process is ended.
pub async fn run(port: u16) -> Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    let rooms = Rooms::default();
    loop {
        let (tcp, _) = listener.accept().await?;
        let rooms = Arc::clone(&rooms);
        tokio::spawn(async move {
            if let Err(error) = serve(tcp, &rooms).await {
                eprintln!("a connection broke: {error:#}");
            }
        });
    }
}

async fn serve(tcp: TcpStream, rooms: &Rooms) -> Result<()> {
    tcp.set_nodelay(true)?;
    let config = WebSocketConfig::default().read_buffer_size(READ_BUFFER_BYTES);
    let Ok(socket) = accept_async_with_config(tcp, Some(config)).await else {
        // The connection only checked that the port answers.
        return Ok(());
    };
    let (mut writer, mut reader) = socket.split();
    let (queue, mut due) = mpsc::unbounded_channel::<Bytes>();
    tokio::spawn(async move {
        while let Some(bytes) = due.recv().await {
            let mut next = Some(bytes);
            while let Some(bytes) = next {
                writer.feed(Message::Binary(bytes)).await?;
                next = due.try_recv().ok();
            }
            writer.flush().await?;
        }
        anyhow::Ok(())
    });
    let mut joined: Option<(Arc<Room>, usize)> = None;
    while let Some(message) = reader.next().await {
        let Ok(message) = message else { break };
        match (message, &joined) {
            (Message::Binary(bytes), Some((room, place))) => room.relay(*place, &bytes),
            (Message::Binary(bytes), None) if bytes.starts_with(b"j") => {
                let room = Arc::clone(lock(rooms).entry(bytes.clone()).or_default());
                let place = room.join(queue.clone());
                queue.send(bytes).context("the writer ended")?;
                joined = Some((room, place));
            }
            (Message::Binary(_), None) => bail!("data before a room was joined"),
            _ => {}
        }
    }
    if let Some((room, place)) = joined {
        room.leave(place);
    }
    Ok(())
}
