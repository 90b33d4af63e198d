//! The wire protocol of y-websocket, and the part of that of Hocuspocus that is the same: one byte for the kind of a message, and its content in the
//! encoding of lib0.
//!
//! A client may put several messages into one frame; the server puts one into each, since
//! y-websocket 3 reads only the first. Hocuspocus has the address of a document in front of each
//! message; in y-websocket it is empty. The stock client sends the kinds 0 and 1; others come from
//! clients that were made from it.

use bytes::Bytes;
use document::{
    Malformed,
    lib0::{Reader, write_var},
};
use engineio::Message;

/// Kinds of messages.
const SYNC: u8 = 0;
const AWARENESS: u8 = 1;
const QUERY_AWARENESS: u8 = 3;
/// A message that y-sweet's client sends to learn what the server has processed.
const ECHO: u64 = 102;

/// Kinds of synchronisation messages.
const STEP_1: u8 = 0;
const STEP_2: u8 = 1;
const UPDATE: u8 = 2;

/// An update without content.
pub(super) const NOTHING: &[u8] = &[0, 0];

/// The most bytes of a number of lib0.
const VAR_BYTES_MAX: usize = 10;

/// A message of a client. Its content was not checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Incoming<'a> {
    /// The client's state vector: it asks for what it lacks.
    Step1(&'a [u8]),
    /// An update, with all that the server lacked of what the client has.
    Step2(&'a [u8]),
    /// An update.
    Update(&'a [u8]),
    /// Awareness states.
    Awareness(&'a [u8]),
    /// The client asks for all awareness states.
    QueryAwareness,
    /// The whole message, which the client wants to have back.
    Echo(&'a [u8]),
    /// Anything else: the rest of the frame, whose end nobody knows.
    Unknown(&'a [u8]),
}

impl<'a> Incoming<'a> {
    /// Reads the first message in `frame`, and returns it with its length in bytes.
    ///
    /// # Errors
    /// If the frame is empty, or a message of a known kind is not complete.
    pub(super) fn read(frame: &'a [u8]) -> Result<(Self, usize), Malformed> {
        let mut reader = Reader::new(frame);
        let kind = reader.var(u64::MAX)?;
        let message = match u8::try_from(kind) {
            Ok(SYNC) => sync(&mut reader, frame)?,
            Ok(AWARENESS) => Incoming::Awareness(reader.var_bytes()?),
            Ok(QUERY_AWARENESS) => Incoming::QueryAwareness,
            _ if kind == ECHO => {
                reader.var_bytes()?;
                let length = frame.len() - reader.rest().len();
                Incoming::Echo(&frame[..length])
            }
            _ => Incoming::Unknown(frame),
        };
        let length = match message {
            Incoming::Unknown(rest) => rest.len(),
            _ => frame.len() - reader.rest().len(),
        };
        Ok((message, length))
    }
}

fn sync<'a>(reader: &mut Reader<'a>, frame: &'a [u8]) -> Result<Incoming<'a>, Malformed> {
    Ok(match u8::try_from(reader.var(u64::MAX)?) {
        Ok(STEP_1) => Incoming::Step1(reader.var_bytes()?),
        Ok(STEP_2) => Incoming::Step2(reader.var_bytes()?),
        Ok(UPDATE) => Incoming::Update(reader.var_bytes()?),
        _ => Incoming::Unknown(frame),
    })
}

/// Tells the client the server's state vector: it answers with what the server lacks.
pub(super) fn step_1(address: &[u8], state_vector: &[u8]) -> Message {
    framed(
        address,
        &[SYNC, STEP_1],
        Bytes::copy_from_slice(state_vector),
    )
}

/// Everything that the client lacked, by which it is synchronised.
pub(super) fn step_2(address: &[u8], update: Bytes) -> Message {
    framed(address, &[SYNC, STEP_2], update)
}

/// An update.
pub(super) fn update(address: &[u8], update: Bytes) -> Message {
    framed(address, &[SYNC, UPDATE], update)
}

/// Awareness states.
pub(super) fn awareness(address: &[u8], states: Bytes) -> Message {
    framed(address, &[AWARENESS], states)
}

/// The question for all awareness states that the client knows.
pub(super) fn query_awareness(address: &[u8]) -> Message {
    Message::binary([address, &[QUERY_AWARENESS]].concat().into())
}

/// Awareness states of nobody. It changes nothing, and shows the client that its connection works.
pub(super) fn no_awareness(address: &[u8]) -> Message {
    awareness(address, Bytes::from_static(&[0]))
}

/// A message of this kind, whose content has its length in front.
fn framed(address: &[u8], kind: &[u8], content: Bytes) -> Message {
    let mut prefix = Vec::with_capacity(address.len() + kind.len() + VAR_BYTES_MAX);
    prefix.extend_from_slice(address);
    prefix.extend_from_slice(kind);
    write_var(&mut prefix, content.len() as u64);
    Message::prefixed(&prefix, content)
}

#[cfg(test)]
mod tests {
    use engineio::DataFrame;

    use super::*;

    fn bytes(message: &Message) -> Vec<u8> {
        let frames: Vec<_> = message.data_frames().collect();
        match frames[..] {
            [DataFrame::Binary(bytes)] => bytes.to_vec(),
            _ => panic!("one binary frame"),
        }
    }

    fn read(frame: &[u8]) -> Incoming<'_> {
        let (message, length) = Incoming::read(frame).expect("a message");
        assert_eq!(length, frame.len());
        message
    }

    #[test]
    fn frames_are_those_of_the_stock_client() {
        let first = [0, 0, 1, 0];
        assert_eq!(bytes(&step_1(&[], &[0])), first);
        assert_eq!(read(&first), Incoming::Step1(&[0]));

        let second = [0, 1, 2, 0, 0];
        assert_eq!(bytes(&step_2(&[], Bytes::from_static(NOTHING))), second);
        assert_eq!(read(&second), Incoming::Step2(NOTHING));

        let changed = [0, 2, 2, 0, 0];
        assert_eq!(bytes(&update(&[], Bytes::from_static(NOTHING))), changed);
        assert_eq!(read(&changed), Incoming::Update(NOTHING));

        // The client 5, at clock 1, with the state {}.
        let state = [1, 6, 1, 5, 1, 2, 0x7b, 0x7d];
        let states = Bytes::copy_from_slice(&state[2..]);
        assert_eq!(bytes(&awareness(&[], states)), state);
        assert_eq!(read(&state), Incoming::Awareness(&state[2..]));
        let entries = document::awareness::decode(&state[2..]).expect("states");
        assert_eq!((entries[0].client, entries[0].clock), (5, 1));

        assert_eq!(bytes(&no_awareness(&[])), [1, 1, 0]);
        assert_eq!(read(&[3]), Incoming::QueryAwareness);
        assert_eq!(
            read(&[102, 2, 7, 8]),
            Incoming::Echo(&[102, 2, 7, 8]),
            "the whole message is sent back"
        );
    }

    #[test]
    fn a_frame_may_have_several_messages() {
        let frame = [0, 0, 1, 0, 3, 1, 1, 0];
        let (first, length) = Incoming::read(&frame).expect("a message");
        assert_eq!((first, length), (Incoming::Step1(&[0]), 4));
        let (second, length) = Incoming::read(&frame[4..]).expect("a message");
        assert_eq!((second, length), (Incoming::QueryAwareness, 1));
        assert_eq!(read(&frame[5..]), Incoming::Awareness(&[0]));
    }

    #[test]
    fn what_is_incomplete_is_refused_and_what_is_unknown_is_not() {
        for malformed in [
            &[][..],
            &[0],
            &[0, 0],
            &[0, 0, 2, 0],
            &[0, 2, 255, 255, 255, 255, 15],
            &[1],
            &[1, 5, 0],
            &[102],
            &[255],
        ] {
            assert!(Incoming::read(malformed).is_err(), "{malformed:?}");
        }
        // The first is a refusal, which only servers send.
        for unknown in [
            &[2, 0, 2, 0x6e, 0x6f][..],
            &[4],
            &[0, 3, 9],
            &[101, 1],
            &[200, 9],
        ] {
            assert_eq!(read(unknown), Incoming::Unknown(unknown));
        }
    }

    #[test]
    fn large_content_is_shared() {
        let content = Bytes::from(vec![7; 1 << 20]);
        let message = update(&[], content.clone());
        // The header of the frame, two kinds, and the length in three bytes.
        assert_eq!(message.wire_bytes(), content.len() + 10 + 2 + 3);
    }
}
