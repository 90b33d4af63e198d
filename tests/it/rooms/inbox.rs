//! The inbox of a room is bounded, and tells its senders when to wait.
//!
//! These tests run on one thread, so that the room's task runs only while a test awaits: the
//! commands that are sent without an await in between stay in the inbox.

use std::sync::Arc;

use realtime_server::room::Command;

use super::{member::TICKET, *};

const KIB: usize = 1 << 10;
/// The inbox of these tests.
const INBOX_BYTES: usize = 1024 * KIB;

/// A member of a room whose inbox has `INBOX_BYTES`.
async fn member(store: &Store) -> Member {
    let limits = Limits {
        room_inbox_bytes_max: INBOX_BYTES,
        ..Limits::default()
    };
    let rooms = rooms_within(store, limits);
    let mut ana = Member::new(&rooms, &key("a"), 1);
    ana.join().await.expect("joined");
    ana
}

impl Member {
    /// Sends a command that counts as `bytes` bytes and a little more.
    fn send_bytes(&self, bytes: usize) -> Result<(), Error> {
        self.room.send(Command::Awareness {
            peer: Arc::clone(&self.seat) as _,
            ticket: TICKET,
            entries: Vec::new(),
            bytes,
        })
    }

    /// Waits until the room has taken `commands` commands from its inbox.
    async fn answered(&mut self, commands: usize) {
        for _ in 0..commands {
            self.answers.recv().await.expect("an answer");
        }
    }
}

#[tokio::test]
async fn a_full_inbox_refuses_commands_until_the_room_has_taken_some() {
    let home = Home::sqlite();
    let store = home.open().await;
    let mut ana = member(&store).await;
    for _ in 0..10 {
        assert_eq!(ana.send_bytes(100 * KIB), Ok(()));
    }
    for _ in 0..3 {
        assert_eq!(ana.send_bytes(100 * KIB), Err(Error::Overloaded));
    }
    assert_eq!(ana.send_bytes(KIB), Ok(()), "a smaller command still fits");

    ana.answered(11).await;
    for _ in 0..10 {
        assert_eq!(ana.send_bytes(100 * KIB), Ok(()), "refused bytes are freed");
    }
    ana.answered(10).await;
    assert!(ana.answers.try_recv().is_err(), "refused commands are gone");
}

#[tokio::test]
async fn a_full_inbox_does_not_refuse_a_leave() {
    let home = Home::sqlite();
    let store = home.open().await;
    let mut ana = member(&store).await;
    for _ in 0..10 {
        assert_eq!(ana.send_bytes(100 * KIB), Ok(()));
    }
    assert_eq!(ana.send_bytes(100 * KIB), Err(Error::Overloaded));
    let leave = Command::Leave {
        session: ana.seat.identity.session,
        answer: Some((Arc::clone(&ana.seat) as _, TICKET)),
    };
    assert_eq!(ana.room.send(leave), Ok(()));
    ana.answered(11).await;
}

#[tokio::test]
async fn a_command_larger_than_the_inbox_passes_while_the_room_is_not_busy() {
    let home = Home::sqlite();
    let store = home.open().await;
    let mut ana = member(&store).await;
    assert_eq!(ana.send_bytes(2 * INBOX_BYTES), Ok(()));
    assert_eq!(ana.send_bytes(2 * INBOX_BYTES), Err(Error::Overloaded));
    assert_eq!(ana.send_bytes(KIB), Err(Error::Overloaded));
    ana.answered(1).await;
    assert_eq!(ana.send_bytes(2 * INBOX_BYTES), Ok(()));
    ana.answered(1).await;
}

#[tokio::test]
async fn a_room_is_busy_from_512_kibibytes_in_its_inbox_on() {
    let home = Home::sqlite();
    let store = home.open().await;
    let mut ana = member(&store).await;
    assert!(!ana.room.is_busy(), "the inbox is empty");
    assert_eq!(ana.send_bytes(500 * KIB), Ok(()));
    assert!(!ana.room.is_busy(), "less than 512 KiB");
    assert_eq!(ana.send_bytes(12 * KIB), Ok(()));
    assert!(ana.room.is_busy());
    ana.answered(2).await;
    assert!(!ana.room.is_busy(), "the room has taken everything");
}
