//! A case of a WebSocket suite: what is sent, and what has to be answered.

use std::iter;

use super::echo::{answer, frame, server_frame};

/// The first byte of a close frame.
pub const CLOSE: u8 = 0x88;

/// How the bytes are written.
#[derive(Clone, Copy)]
pub enum Chops {
    /// All at once.
    None,
    /// Each frame by itself.
    Frames,
    /// In pieces of so many bytes.
    Bytes(usize),
}

/// One case: its number, what is sent, and what is answered before the close frame.
pub struct Case {
    number: String,
    sent: Vec<Vec<u8>>,
    chops: Chops,
    echoed: Vec<Vec<u8>>,
    /// The code with which the server closes.
    closed: u16,
}

/// A case that the client closes after it has sent `frames`, which are answered with `echoed`.
pub fn passes(number: impl ToString, frames: &[Vec<u8>], echoed: &[Vec<u8>]) -> Case {
    let close = frame(CLOSE, &1000_u16.to_be_bytes());
    Case {
        number: number.to_string(),
        sent: frames.iter().cloned().chain(iter::once(close)).collect(),
        chops: Chops::None,
        echoed: echoed.to_vec(),
        closed: 1000,
    }
}

/// A case in which the server fails the connection with `code`, after it has answered with `echoed`.
pub fn fails(number: impl ToString, frames: &[Vec<u8>], echoed: &[Vec<u8>], code: u16) -> Case {
    Case {
        number: number.to_string(),
        sent: frames.to_vec(),
        chops: Chops::None,
        echoed: echoed.to_vec(),
        closed: code,
    }
}

impl Case {
    /// With its bytes written in `chops`.
    pub fn chopped(mut self, chops: Chops) -> Self {
        self.chops = chops;
        self
    }

    async fn check(&self) {
        let whole = self.sent.concat();
        let answer = match self.chops {
            Chops::None => answer(iter::once(whole.as_slice())).await,
            Chops::Frames => answer(self.sent.iter().map(Vec::as_slice)).await,
            Chops::Bytes(bytes) => answer(whole.chunks(bytes)).await,
        };
        let mut expected = self.echoed.concat();
        expected.extend(server_frame(CLOSE, &self.closed.to_be_bytes()));
        assert!(
            answer == expected,
            "case {}: {}",
            self.number,
            shown(&answer)
        );
    }
}

fn shown(answer: &[u8]) -> String {
    let (head, tail) = answer.split_at(answer.len().min(200));
    format!("{} and {} more bytes", head.escape_ascii(), tail.len())
}

/// Checks `cases`, of which there have to be `count`.
pub async fn check(cases: impl IntoIterator<Item = Case>, count: usize) {
    let mut checked = 0;
    for case in cases {
        case.check().await;
        checked += 1;
    }
    assert_eq!(checked, count, "the number of cases");
}
