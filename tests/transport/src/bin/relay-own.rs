//! Relays updates between the members of a room, on this server's transport: `relay-own PORT`. It does what
//! `relay-socketioxide` does, with the least of Socket.IO that its clients need.

use std::{collections::HashMap, sync::Arc};

use axum::{Router, http::Extensions};
use bytes::Bytes;
use engineio::{
    Answer, Busy, Carrier, Connection, Door, Engine, Message, Options, Reason, Sent, Sid, Text,
    Writer, message_text,
};
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::value::RawValue;
use transport_servers::{Join, MESSAGES_MAX, THREADS, serve};

/// The bytes that wait for a client at most; one that does not read that fast is cut.
const WAITING_BYTES_MAX: usize = 16 << 20;

type Socket = Arc<Connection<Data>>;

/// The state of one connection.
#[derive(Default)]
struct Data {
    /// The text of an update whose attachment has not come yet.
    partial: Mutex<Option<Box<str>>>,
    room: Mutex<Option<String>>,
}

#[derive(Clone, Default)]
struct Relay {
    rooms: Arc<Mutex<HashMap<String, HashMap<Sid, Socket>>>>,
}

/// The payload of an update, whose bytes are an attachment.
#[derive(Deserialize)]
struct Header<'a> {
    #[serde(borrow)]
    room: std::borrow::Cow<'a, str>,
}

fn main() -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(THREADS)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let options = Options {
            messages_max: MESSAGES_MAX,
            message_bytes_max: 64 << 20,
            ..Options::default()
        };
        let engine = Engine::new(Relay::default(), options);
        serve(Router::new().route_service("/socket.io/", engine)).await
    })
}

fn packet(parts: &[&str]) -> Text {
    let mut text = message_text(parts.iter().map(|part| part.len()).sum());
    parts.iter().for_each(|part| text.push_str(part));
    text
}

fn send(socket: &Socket, parts: &[&str]) {
    socket.send(Message::new(packet(parts), []));
}

/// The number of the ack and the JSON that follow a packet's type.
fn split(text: &str) -> (&str, &str) {
    text.split_at(text.bytes().take_while(u8::is_ascii_digit).count())
}

impl Relay {
    fn join(&self, text: &str, socket: &Socket) -> Option<()> {
        let (ack, json) = split(text);
        let (_, Join { room }): (&str, Join) = serde_json::from_str(json).ok()?;
        *socket.data.room.lock() = Some(room.clone());
        let mut rooms = self.rooms.lock();
        let room = rooms.entry(room).or_default();
        room.insert(socket.id(), Arc::clone(socket));
        send(socket, &["3", ack, "[{\"ok\":true}]"]);
        Some(())
    }

    fn update(&self, text: &str, bytes: Bytes, socket: &Socket) -> Option<()> {
        let (ack, json) = split(text);
        let (name, payload): (&str, &RawValue) = serde_json::from_str(json).ok()?;
        let header: Header<'_> = serde_json::from_str(payload.get()).ok()?;
        let text = packet(&["51-[\"", name, "\",", payload.get(), "]"]);
        let message = Message::new(text, [bytes]);
        let rooms = self.rooms.lock();
        for member in rooms.get(&*header.room)?.values() {
            if member.id() == socket.id() {
                continue;
            }
            match member.queue(message.clone(), WAITING_BYTES_MAX) {
                Sent::Full => member.cut(Reason::Unwanted),
                Sent::Queued => member.flush(Writer::Task),
                Sent::Over => {}
            }
        }
        send(socket, &["3", ack, "[{\"ok\":true}]"]);
        Some(())
    }
}

impl Door for Relay {
    type Data = Data;

    fn admit(&self, _: Carrier, _: &Extensions) -> Result<Data, Box<Answer>> {
        Ok(Data::default())
    }

    fn opened(&self, _: &Socket) {}

    fn upgraded(&self, _: &Socket) {}

    fn text(&self, text: &str, socket: &Socket) {
        let done = match text.as_bytes() {
            [b'0', ..] => {
                send(socket, &["0{\"sid\":\"0\"}"]);
                send(socket, &["2[\"connection\",{\"ok\":true}]"]);
                Some(())
            }
            [b'2', ..] => self.join(&text[1..], socket),
            [b'5', b'1', b'-', ..] => {
                *socket.data.partial.lock() = Some(text[3..].into());
                Some(())
            }
            _ => None,
        };
        if done.is_none() {
            socket.close(Reason::Malformed);
        }
    }

    fn binary(&self, bytes: Bytes, socket: &Socket) {
        let text = socket.data.partial.lock().take();
        let done = text.and_then(|text| self.update(&text, bytes, socket));
        if done.is_none() {
            socket.close(Reason::Malformed);
        }
    }

    fn knows(&self, _: &Socket) -> bool {
        true
    }

    fn busy(&self, _: &Socket) -> Option<Busy> {
        None
    }

    fn spawn(
        &self,
        _: Option<&Connection<Self::Data>>,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        tokio::spawn(task);
    }

    fn closed(&self, socket: &Socket, _: Reason) {
        if let Some(room) = socket.data.room.lock().take()
            && let Some(members) = self.rooms.lock().get_mut(&room)
        {
            members.remove(&socket.id());
        }
    }
}
