//! The same bytes of a client, received by this crate and by tungstenite. The fuzz target `frames` uses it as well.

use std::{
    io::{self, Cursor, Read, Write},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use engineio::{Busy, Ended, Limits, Outbox, Receiver, Violation, serve};
use parking_lot::Mutex;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, duplex},
    time::Instant,
};
use tungstenite::{
    Error, Message as Theirs, WebSocket,
    protocol::{Role, WebSocketConfig, frame::coding::CloseCode},
};

/// The largest message that both accept.
pub const MESSAGE_BYTES_MAX: usize = 1000;

/// More turns than the connection needs for the messages of one input.
const TURNS: usize = 100;

/// The fault of a close frame whose code tungstenite does not allow.
const FORBIDDEN_CODE: &str = "a close code that must not be sent";

/// A message that was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    Text(String),
    Binary(Vec<u8>),
}

/// How the bytes ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Before a close frame and before a fault.
    Bytes,
    /// With a close frame.
    Closed,
    /// With this fault.
    Fault(Violation),
}

/// What one side received: messages, the payloads of pings, and the end.
#[derive(Debug)]
pub struct Received {
    pub events: Vec<Event>,
    pub pings: Vec<Vec<u8>>,
    pub end: End,
    /// The code of the close frame in answer, on this side.
    pub closed: Option<u16>,
}

struct Recorder {
    outbox: Arc<Outbox>,
    seen: Arc<Mutex<(Vec<Event>, Option<Ended>)>>,
}

impl Receiver for Recorder {
    fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    fn text(&mut self, text: &str) {
        self.seen.lock().0.push(Event::Text(text.to_owned()));
    }

    fn binary(&mut self, bytes: Bytes) {
        self.seen.lock().0.push(Event::Binary(bytes.to_vec()));
    }

    fn message_bytes_max(&self) -> usize {
        MESSAGE_BYTES_MAX
    }

    fn busy(&mut self) -> Option<Busy> {
        None
    }

    fn alarm(&self) -> Instant {
        Instant::now() + Duration::from_secs(3600)
    }

    fn on_alarm(&mut self) {}

    fn ended(&mut self, ended: Ended) {
        self.seen.lock().1 = Some(ended);
    }
}

/// What this crate receives, when the bytes come in pieces of `piece_bytes`.
pub fn ours(input: &[u8], piece_bytes: usize) -> Received {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    runtime.expect("a runtime").block_on(async {
        let (client, server) = duplex(1 << 20);
        let seen = Arc::default();
        let recorder = Recorder {
            outbox: Arc::new(Outbox::new(10_000)),
            seen: Arc::clone(&seen),
        };
        // The other side has no limit of frames that carry nothing.
        let limits = Limits {
            bare_frames_burst: u32::MAX,
            ..Limits::default()
        };
        let serving = serve(server, &[], limits, recorder);
        let (mut reader, mut writer) = tokio::io::split(client);
        let sending = async {
            for piece in input.chunks(piece_bytes.max(1)) {
                // The other side may have closed already.
                if writer.write_all(piece).await.is_err() {
                    break;
                }
                tokio::task::yield_now().await;
            }
            // The end of the stream comes after the answers: on one thread, nothing else lets them wait.
            for _ in 0..TURNS {
                tokio::task::yield_now().await;
            }
            let _ = writer.shutdown().await;
        };
        let reading = async {
            let mut output = Vec::new();
            let _ = reader.read_to_end(&mut output).await;
            output
        };
        let ((), (), output) = tokio::join!(serving, sending, reading);
        let (pings, closed) = server_frames(&output);
        let (events, ended) = std::mem::take(&mut *seen.lock());
        let end = match ended.expect("an end") {
            Ended::Violated(violation) => {
                assert_eq!(closed, Some(violation.close_code()), "the close frame");
                End::Fault(violation)
            }
            Ended::ByPeer if closed.is_some() => End::Closed,
            Ended::ByPeer => End::Bytes,
            other => panic!("{other:?} is no end that the bytes can cause"),
        };
        Received {
            events,
            pings,
            end,
            closed,
        }
    })
}

/// The payloads of the pongs that the server sent, and the code with which it closed. Every frame has to be valid.
fn server_frames(mut bytes: &[u8]) -> (Vec<Vec<u8>>, Option<u16>) {
    let mut pongs = Vec::new();
    while let [first, length, rest @ ..] = bytes {
        assert!(*length <= 125, "a control frame without a mask");
        let (payload, rest) = rest.split_at(usize::from(*length));
        match first {
            0x8A => pongs.push(payload.to_vec()),
            0x88 => {
                assert!(rest.is_empty(), "nothing follows a close frame");
                let code = payload.first_chunk().expect("a code");
                return (pongs, Some(u16::from_be_bytes(*code)));
            }
            other => panic!("nobody asked for a frame {other:#x}"),
        }
        bytes = rest;
    }
    (pongs, None)
}

/// A stream that has only the bytes of the client.
struct Input<'a>(Cursor<&'a [u8]>);

impl Read for Input<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Read::read(&mut self.0, buffer)
    }
}

impl Write for Input<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What tungstenite receives. Its faults are named as those of this crate.
pub fn theirs(input: &[u8]) -> Received {
    let config = WebSocketConfig::default()
        .max_message_size(Some(MESSAGE_BYTES_MAX))
        .max_frame_size(Some(MESSAGE_BYTES_MAX));
    let stream = Input(Cursor::new(input));
    let mut socket = WebSocket::from_raw_socket(stream, Role::Server, Some(config));
    let (mut events, mut pings) = (Vec::new(), Vec::new());
    let end = loop {
        match socket.read() {
            Ok(Theirs::Text(text)) => events.push(Event::Text(text.to_string())),
            Ok(Theirs::Binary(bytes)) => events.push(Event::Binary(bytes.to_vec())),
            Ok(Theirs::Ping(payload)) => pings.push(payload.to_vec()),
            Ok(Theirs::Close(Some(frame)))
                if frame.code == CloseCode::Protocol && frame.reason == "Protocol violation" =>
            {
                break End::Fault(Violation::Protocol(FORBIDDEN_CODE));
            }
            Ok(Theirs::Close(_)) => break End::Closed,
            Ok(Theirs::Pong(_) | Theirs::Frame(_)) => {}
            Err(Error::Utf8(_)) => break End::Fault(Violation::NotUtf8),
            Err(Error::Capacity(_)) => break End::Fault(Violation::TooLarge),
            Err(Error::Protocol(
                tungstenite::error::ProtocolError::ResetWithoutClosingHandshake,
            )) => break End::Bytes,
            Err(Error::Protocol(_)) => break End::Fault(Violation::Protocol("")),
            Err(other) => panic!("{other}"),
        }
    };
    Received {
        events,
        pings,
        end,
        closed: None,
    }
}

/// Receives `input` with both, and compares. Differences that are allowed:
///
/// - A length that is not in its shortest form is a fault here (RFC 6455, 5.2), and none for tungstenite. Of such input only the
///   messages before one side's end are compared.
/// - The close code 1014 is valid here (it is registered), and a fault for tungstenite.
/// - Text is checked here when the message is complete, by tungstenite with each frame.
/// - A frame is refused here by the first bytes of its header; tungstenite waits for the whole header, and for a
///   control frame's payload.
pub fn compare(input: &[u8], piece_bytes: usize) {
    let (ours, theirs) = (ours(input, piece_bytes), theirs(input));
    if has_long_form(input) {
        let common = ours.events.len().min(theirs.events.len());
        assert_eq!(ours.events[..common], theirs.events[..common]);
        return;
    }
    let same_end = match (ours.end, theirs.end) {
        (End::Bytes, End::Bytes) | (End::Closed, End::Closed) => true,
        // The text is checked later here, so another fault may come first.
        // Of several faults in one header, tungstenite names the length first.
        (End::Fault(_), End::Fault(Violation::NotUtf8 | Violation::TooLarge)) => true,
        (End::Fault(ours), End::Fault(theirs)) => ours.close_code() == theirs.close_code(),
        // The header is refused before it is complete.
        (End::Fault(_), End::Bytes) => true,
        // The text is incomplete, so it is not checked yet.
        (End::Bytes | End::Closed, End::Fault(Violation::NotUtf8)) => true,
        (End::Closed, End::Fault(Violation::Protocol(FORBIDDEN_CODE))) => ours.closed == Some(1014),
        _ => false,
    };
    assert!(same_end, "{ours:?} {theirs:?}");
    assert_eq!(ours.events, theirs.events, "{ours:?} {theirs:?}");
    let common = ours.pings.len().min(theirs.pings.len());
    assert_eq!(
        ours.pings[..common],
        theirs.pings[..common],
        "{ours:?} {theirs:?}"
    );
    if theirs.end != End::Fault(Violation::NotUtf8) {
        assert_eq!(ours.pings.len(), theirs.pings.len(), "{ours:?} {theirs:?}");
    }
}

/// Whether a frame has a length that is not in its shortest form.
fn has_long_form(mut input: &[u8]) -> bool {
    while let [_, second, rest @ ..] = input {
        let (bytes, least) = match second & 0x7F {
            126 => (2, 126),
            127 => (8, 1 << 16),
            _ => (0, 0),
        };
        // A length that is incomplete may count as one, since both sides wait there.
        let extended = &rest[..rest.len().min(bytes)];
        let read = extended.iter().fold(0, |n, &byte| n << 8 | u64::from(byte));
        let length = if bytes == 0 {
            u64::from(second & 0x7F)
        } else {
            read
        };
        if length < least {
            return true;
        }
        let mask = if second & 0x80 == 0 { 0 } else { 4 };
        let Ok(length) = usize::try_from(length) else {
            return false;
        };
        input = rest
            .get(bytes + mask..)
            .and_then(|rest| rest.get(length..))
            .unwrap_or_default();
    }
    false
}
