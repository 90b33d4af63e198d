//! A door that exists only in this test: lines of text over TCP. It needs no change of the server,
//! and its members share rooms with those of every other door.

use std::{sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use realtime_server::{
    error::Error,
    room::{
        Acked, Answer, Audiences, Command, Creation, Delivery, Door, Message, Peer, RoomHandle,
        Rooms, Standing, Ticket, Update,
    },
    session::Identity,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream, tcp::OwnedReadHalf},
    sync::mpsc,
};

use crate::{rooms, store::Home, store::key};

/// One connection: a session that can join one room.
struct Line {
    identity: Identity,
    out: mpsc::UnboundedSender<Arc<str>>,
}

/// The door of these connections. Its lines are `joined AAA=`, `update AAA=`, `saved 7`, and
/// `refused code`.
struct LineDoor;

const TICKET: Ticket = Ticket {
    request: "line",
    id: None,
};

impl Door for LineDoor {
    type Seat = Line;
    type Wire = Arc<str>;

    fn encode(&self, message: &Message) -> Arc<str> {
        match message {
            Message::Update(bytes) => format!("update {}", BASE64.encode(bytes)).into(),
            Message::Resync(_) => "resync".into(),
            Message::Closed(error) => format!("closed {}", error.code()).into(),
            Message::Event(event) => format!("event {}", event.event_id.expect("an id").0).into(),
            Message::Awareness(_) | Message::Stateless(_) | Message::Storage(_) => "".into(),
        }
    }

    fn deliver(&self, seat: &Line, _: &Message, wire: &Arc<str>) -> Delivery {
        seat.say(Arc::clone(wire));
        Delivery::Queued
    }
}

impl Line {
    fn say(&self, line: Arc<str>) {
        // The send fails only if the connection is closed.
        let _ = self.out.send(line);
    }
}

impl Peer for Line {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn accept(&self, _: Ticket, acked: Acked) {
        self.say(format!("saved {}", acked.seq.0).into());
    }

    fn answer(&self, _: Ticket, answer: Answer) {
        match answer {
            Answer::Joined(joined) => {
                self.say(format!("joined {}", BASE64.encode(&joined.lacking.update)).into())
            }
            Answer::Refused(error) => self.say(format!("refused {}", error.code()).into()),
            Answer::Synced(_)
            | Answer::StateVector(_)
            | Answer::Made(_)
            | Answer::Gone(_)
            | Answer::Done => {}
        }
    }

    fn charge(&self, _: Duration, _: usize) {}

    fn cut(&self, _: &'static str) {}

    fn sit(self: Arc<Self>, audiences: &mut Audiences) {
        audiences.seat(|| LineDoor, self);
    }
}

/// Serves connections until the test ends.
async fn serve(listener: TcpListener, rooms: Rooms) {
    for session in 1_000.. {
        let (stream, _) = listener.accept().await.expect("a connection");
        let (read, mut write) = stream.into_split();
        let (out, mut lines) = mpsc::unbounded_channel::<Arc<str>>();
        let identity = rooms::identity(session);
        let line = Arc::new(Line { identity, out });
        tokio::spawn(receive(read, rooms.clone(), line));
        tokio::spawn(async move {
            while let Some(line) = lines.recv().await {
                write.write_all(format!("{line}\n").as_bytes()).await.ok();
            }
        });
    }
}

/// Reads the lines of one connection, and sends its commands to the room.
async fn receive(read: OwnedReadHalf, rooms: Rooms, line: Arc<Line>) {
    let mut lines = BufReader::new(read).lines();
    let mut joined: Option<RoomHandle> = None;
    while let Ok(Some(text)) = lines.next_line().await {
        let peer = Arc::clone(&line) as Arc<dyn Peer>;
        let sent = match (text.split_once(' '), &joined) {
            (Some(("join", room)), _) => rooms.open(&key(room)).and_then(|room| {
                joined.insert(room).send(Command::Join {
                    peer,
                    ticket: TICKET,
                    creation: Creation::Allowed,
                    has: None,
                })
            }),
            (Some(("update", text)), Some(room)) => update(room, peer, text),
            _ => Err(Error::Internal),
        };
        if let Err(error) = sent {
            line.say(format!("refused {}", error.code()).into());
        }
    }
    if let Some(room) = joined {
        let (session, answer) = (line.identity.session, None);
        let _ = room.send(Command::Leave { session, answer });
    }
}

/// Sends an update to the room.
fn update(room: &RoomHandle, peer: Arc<dyn Peer>, text: &str) -> Result<(), Error> {
    let bytes = BASE64.decode(text).map_err(|_| Error::Internal)?;
    let checked = document::validate(&bytes).map_err(|_| Error::Internal)?;
    room.send(Command::Update(Box::new(Update {
        peer,
        ticket: TICKET,
        bytes: bytes.into(),
        checked,
        standing: Standing::Member,
    })))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_of_two_doors_share_a_room_and_each_is_told_in_the_encoding_of_its_door() {
    let home = Home::sqlite();
    let store = home.open().await;
    let rooms = rooms::rooms(&store);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(serve(listener, rooms.clone()));

    let mut ana = rooms::Member::new(&rooms, &key("a"), 1);
    ana.join().await.expect("joined");
    let (read, mut write) = TcpStream::connect(address)
        .await
        .expect("there")
        .into_split();
    let mut lines = BufReader::new(read).lines();
    let mut hear = async || {
        lines
            .next_line()
            .await
            .expect("a line")
            .expect("not the end")
    };
    write.write_all(b"join a\n").await.expect("sent");
    assert!(hear().await.starts_with("joined "));

    let one = rooms::written(11, "one", "one");
    ana.send(&one);
    ana.saved().await;
    assert_eq!(hear().await, format!("update {}", BASE64.encode(&one)));
    let two = rooms::written(12, "two", "two");
    let line = format!("update {}\n", BASE64.encode(&two));
    write.write_all(line.as_bytes()).await.expect("sent");
    assert_eq!(hear().await, "saved 2");
    assert_eq!(ana.updates(), [two]);
}
