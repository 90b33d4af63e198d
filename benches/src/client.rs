//! One client: its connection, its queue of messages, and its requests.
//!
//! One task reads and another one writes, so that neither waits for the other. The writer sends
//! all queued messages in one write, as a client does that sends several messages at once.

use std::{
    cell::{Cell, RefCell},
    collections::{HashMap, VecDeque},
    rc::Rc,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use futures_util::{
    SinkExt, StreamExt,
    stream::{SplitSink, SplitStream},
};
use tokio::{
    sync::{Notify, oneshot},
    task::JoinHandle,
};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use crate::{
    connect::{self, Address, Socket},
    meter::Meter,
    wire::{Answer, Decoder, Encoder, Incoming, Kind, Wire},
};

/// The time to wait for an answer; a longer wait is an error.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// The events that need no answer: the start of the session, and what happens in the team.
const EXPECTED: [&str; 7] = [
    r#"["connection""#,
    r#"["activity""#,
    r#"["document_created""#,
    r#"["document_changed""#,
    r#"["thread_created""#,
    r#"["comment_created""#,
    r#"["presence_"#,
];

/// The receiver of the messages of one client.
pub trait Listener {
    /// Receives Yjs bytes of another client.
    fn data(&self, kind: Kind, bytes: &[u8]);

    /// Receives the updates that were missing, in answer to [`Self::known`].
    fn caught_up(&self, update: &[u8]);

    /// The state vector of the received updates.
    fn known(&self) -> Vec<u8>;

    /// Receives an event that needs no answer: the JSON array of its name and its payload.
    fn event(&self, json: &str) {
        let _ = json;
    }
}

/// One client in one room.
pub struct Client {
    wire: Wire,
    encoder: Encoder,
    outbox: Rc<Outbox>,
    meter: Rc<Meter>,
    next_id: Cell<u64>,
    requests: RefCell<HashMap<u64, oneshot::Sender<Answer>>>,
    resync: Cell<Option<u64>>,
    /// The updates without an ack: the number of the request, and when it was sent.
    unacked: RefCell<VecDeque<(u64, u64)>>,
    tasks: RefCell<Vec<JoinHandle<()>>>,
}

impl Client {
    /// Connects `user`, who will edit `room`, without joining it yet.
    pub async fn connect(
        address: &Address,
        user: &str,
        room: &str,
        listener: Rc<dyn Listener>,
        meter: &Rc<Meter>,
    ) -> Result<Rc<Self>> {
        let (socket, decoder) =
            tokio::time::timeout(ANSWER_TIMEOUT, connect::open(address, user, room))
                .await
                .context("no answer while connecting")??;
        let (writer, reader) = socket.split();
        let client = Rc::new(Self {
            wire: address.wire,
            encoder: Encoder::new(address.wire, room),
            outbox: Rc::default(),
            meter: Rc::clone(meter),
            next_id: Cell::new(1),
            requests: RefCell::default(),
            resync: Cell::default(),
            unacked: RefCell::default(),
            tasks: RefCell::default(),
        });
        let writing = tokio::task::spawn_local(write(Rc::clone(&client.outbox), writer));
        let reading = tokio::task::spawn_local({
            let client = Rc::clone(&client);
            async move {
                if let Err(error) = client.read(reader, decoder, &*listener).await {
                    client.meter.fault(format!("a connection broke: {error:#}"));
                }
            }
        });
        client.tasks.borrow_mut().extend([writing, reading]);
        Ok(client)
    }

    /// Joins the room with an empty state vector; the answer contains the whole document.
    pub async fn join(&self) -> Result<Answer> {
        self.request("join_room", Bytes::from_static(crate::yjs::NOTHING_KNOWN))
            .await
    }

    async fn request(&self, name: &str, state_vector: Bytes) -> Result<Answer> {
        let send = |id| {
            self.encoder
                .request(name, id, state_vector, |message| self.outbox.push(message));
        };
        self.answer_to(name, send).await
    }

    /// Asks for an operation of a feature, with the fields of `payload`.
    pub async fn ask(&self, name: &str, payload: &serde_json::Value) -> Result<Answer> {
        let send = |id| {
            let text = format!(r#"42{id}["{name}",{payload}]"#);
            self.outbox.push(Message::Text(Utf8Bytes::from(text)));
        };
        self.answer_to(name, send).await
    }

    /// Has `send` send the request `name` with a number, and waits for its answer.
    async fn answer_to(&self, name: &str, send: impl FnOnce(u64)) -> Result<Answer> {
        let (answered, answer) = oneshot::channel();
        let id = match self.wire {
            Wire::SocketIo | Wire::YSocketIo => self.take_id(),
            Wire::Bare | Wire::YWebsocket | Wire::Hocuspocus => 0,
        };
        self.requests.borrow_mut().insert(id, answered);
        send(id);
        let answer = tokio::time::timeout(ANSWER_TIMEOUT, answer)
            .await
            .with_context(|| format!("no answer to {name}"))??;
        if !answer.ok() {
            bail!("{name} was refused: {}", answer.json);
        }
        Ok(answer)
    }

    fn take_id(&self) -> u64 {
        let id = self.next_id.get();
        self.next_id.set(id + 1);
        id
    }

    /// Sends an update without waiting for its ack, whose latency is measured.
    pub fn send_update(&self, bytes: impl Into<Bytes>, now: u64) {
        let id = self.take_id();
        if self.wire.acknowledges() {
            self.unacked.borrow_mut().push_back((id, now));
        }
        self.encoder
            .data(Kind::Update, id, bytes.into(), |message| {
                self.outbox.push(message)
            });
    }

    /// Sends the position of a cursor.
    pub fn send_cursor(&self, bytes: impl Into<Bytes>) {
        self.encoder.data(Kind::Cursor, 0, bytes.into(), |message| {
            self.outbox.push(message)
        });
    }

    /// Waits until all queued messages have been written to the socket.
    pub async fn flushed(&self) {
        while !self.outbox.idle.get() || !self.outbox.messages.borrow().is_empty() {
            self.outbox.flushed.notified().await;
        }
    }

    /// The number of updates without an ack.
    pub fn unacked(&self) -> usize {
        self.unacked.borrow().len()
    }

    /// Ends the connection.
    pub fn close(&self) {
        for task in self.tasks.borrow_mut().drain(..) {
            task.abort();
        }
    }

    async fn read(
        &self,
        mut reader: SplitStream<Socket>,
        mut decoder: Decoder,
        listener: &dyn Listener,
    ) -> Result<()> {
        while let Some(message) = reader.next().await {
            let message = message?;
            self.meter.received(message.len());
            match decoder.take(message)? {
                None | Some(Incoming::Opened | Incoming::Connected) => {}
                Some(Incoming::Data(kind, bytes)) => listener.data(kind, &bytes),
                Some(Incoming::Answer(answer)) => self.answered(answer, listener)?,
                Some(Incoming::Saved) => self.saved(0),
                Some(Incoming::Question(id)) => self.answer(id),
                Some(Incoming::Ping) => self.outbox.push(connect::pong()),
                Some(Incoming::Refused(packet)) => bail!("refused: {packet}"),
                Some(Incoming::Event(json)) => self.event(&json, listener),
            }
        }
        bail!("the server closed the connection")
    }

    fn event(&self, json: &str, listener: &dyn Listener) {
        if json.starts_with(r#"["document_resync""#) {
            self.meter.resync();
            let id = self.take_id();
            self.resync.set(Some(id));
            let known = Bytes::from(listener.known());
            self.encoder.request("document_sync", id, known, |message| {
                self.outbox.push(message)
            });
        } else if EXPECTED.iter().any(|event| json.starts_with(event)) {
            listener.event(json);
        } else {
            self.meter
                .fault(format!("the server sent an unexpected event: {json}"));
        }
    }

    fn answered(&self, answer: Answer, listener: &dyn Listener) -> Result<()> {
        if let Some(request) = self.requests.borrow_mut().remove(&answer.id) {
            // The caller may have given up already.
            let _ = request.send(answer);
            return Ok(());
        }
        if !answer.ok() {
            self.meter.fault(format!("refused: {}", answer.json));
        }
        if self.resync.get() == Some(answer.id) {
            self.resync.set(None);
            let update = answer
                .field("update")?
                .context("a sync without an update")?;
            listener.caught_up(&update);
            return Ok(());
        }
        let unacked = self.unacked.borrow();
        let place = unacked.iter().position(|(id, _)| *id == answer.id);
        drop(unacked);
        self.saved(place.unwrap_or(usize::MAX));
        Ok(())
    }

    /// The update at `place` among those without an ack is saved.
    fn saved(&self, place: usize) {
        match self.unacked.borrow_mut().remove(place) {
            Some((_, sent)) => self.meter.saved(sent, self.meter.now()),
            None => self.meter.fault("an ack without a request"),
        }
    }

    /// Answers a question of the server for what it lacks: nothing. To Hocuspocus that is a write, which it acknowledges.
    fn answer(&self, id: u64) {
        if self.wire.acknowledges() {
            let sent = (self.take_id(), self.meter.now());
            self.unacked.borrow_mut().push_back(sent);
        }
        self.encoder.answer(id, |message| self.outbox.push(message));
    }
}

/// The messages that are not yet sent.
#[derive(Default)]
struct Outbox {
    messages: RefCell<VecDeque<Message>>,
    filled: Notify,
    idle: Cell<bool>,
    flushed: Notify,
}

impl Outbox {
    fn push(&self, message: Message) {
        self.messages.borrow_mut().push_back(message);
        self.filled.notify_one();
    }

    fn pop(&self) -> Option<Message> {
        self.messages.borrow_mut().pop_front()
    }
}

/// Writes until the connection breaks, which the reader reports.
async fn write(outbox: Rc<Outbox>, mut writer: SplitSink<Socket, Message>) {
    loop {
        outbox.idle.set(false);
        while let Some(message) = outbox.pop() {
            if writer.feed(message).await.is_err() {
                return;
            }
        }
        if writer.flush().await.is_err() {
            return;
        }
        if outbox.messages.borrow().is_empty() {
            outbox.idle.set(true);
            outbox.flushed.notify_waiters();
            outbox.filled.notified().await;
        }
    }
}
