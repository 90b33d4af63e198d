//! Decodes the bytes of a connection into messages.
//!
//! A message that is complete in the input is handed out as a slice of it. Only an
//! incomplete message is buffered, and the buffer is freed when the message is
//! complete: an idle decoder owns no memory. A frame that would make a message too
//! large is refused by its header, before any of it is buffered.

use bytes::Bytes;

use super::frame::{CLIENT_HEADER_MAX, Header, Opcode, Violation, unmask};

/// A message or control frame that arrived.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Incoming<'a> {
    Text(&'a str),
    Binary(Bytes),
    Ping(&'a [u8]),
    Pong,
    /// The peer closes the connection, with a code or without.
    Close(Option<u16>),
}

/// Whether to go on decoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    Continue,
    /// The rest of the input is left undecoded.
    Stop,
}

/// Decodes the messages of one connection.
pub(super) struct Decoder {
    bytes_max: usize,
    /// An incomplete header.
    header: [u8; CLIENT_HEADER_MAX],
    header_bytes: usize,
    /// A frame whose payload is incomplete.
    frame: Option<Partial>,
    /// The payload received so far of an incomplete data message.
    message: Vec<u8>,
    /// Text or binary, while a fragmented message is incomplete.
    fragmented: Option<Opcode>,
    /// The payload received so far of an incomplete control frame.
    control: Vec<u8>,
    seen: Seen,
}

/// How many frames were decoded since this was last asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// All frames.
    pub(super) frames: u32,
    /// Of these, the last ones of data messages.
    pub(super) messages: u32,
    /// Of these, the ones that carry nothing: control frames, fragments of a few bytes that do not
    /// complete a message, and empty messages.
    pub(super) bare: u32,
}

/// A shorter fragment carries nothing, unless it is the last one.
const FRAGMENT_BYTES_MIN: usize = 64;

#[derive(Clone, Copy)]
struct Partial {
    header: Header,
    received: usize,
}

impl Decoder {
    pub(super) fn new() -> Self {
        Self {
            bytes_max: 0,
            header: [0; CLIENT_HEADER_MAX],
            header_bytes: 0,
            frame: None,
            message: Vec::new(),
            fragmented: None,
            control: Vec::new(),
            seen: Seen::default(),
        }
    }

    /// What was decoded since the last call.
    pub(super) fn take_seen(&mut self) -> Seen {
        std::mem::take(&mut self.seen)
    }

    /// Whether a frame, or a message in fragments, is incomplete.
    pub(super) fn is_partial(&self) -> bool {
        self.header_bytes > 0 || self.frame.is_some() || self.fragmented.is_some()
    }

    /// Hands each message that `input` completes to `take`, in order, and returns how
    /// many bytes were used: all, unless `take` stopped. Unmasks in place. A larger message than
    /// `bytes_max` is a violation when its header arrives.
    ///
    /// # Errors
    /// The first violation. The messages before it were handed to `take`.
    pub(super) fn decode(
        &mut self,
        input: &mut [u8],
        bytes_max: usize,
        mut take: impl FnMut(Incoming<'_>) -> Flow,
    ) -> Result<usize, Violation> {
        self.bytes_max = bytes_max;
        let mut at = 0;
        while at < input.len() {
            let partial = match self.frame.take() {
                Some(partial) => partial,
                None => {
                    let (header, used) = self.read_header(&input[at..])?;
                    at += used;
                    let Some(header) = header else { break };
                    let received = 0;
                    Partial { header, received }
                }
            };
            let Partial { header, received } = partial;
            let piece_bytes = (header.length - received).min(input.len() - at);
            let piece = &mut input[at..at + piece_bytes];
            at += piece_bytes;
            unmask(piece, header.mask, received);
            let received = received + piece_bytes;
            if received < header.length {
                self.keep(header, received, piece);
                self.frame = Some(Partial { header, received });
                break;
            }
            if self.complete(header, piece, &mut take)? == Flow::Stop {
                break;
            }
        }
        Ok(at)
    }

    /// The header at the start of `input`, if it is complete, and how many bytes were used.
    fn read_header(&mut self, input: &[u8]) -> Result<(Option<Header>, usize), Violation> {
        let before = self.header_bytes;
        let parsed = if before == 0 {
            Header::parse(input)?
        } else {
            let more = input.len().min(CLIENT_HEADER_MAX - before);
            self.header[before..before + more].copy_from_slice(&input[..more]);
            Header::parse(&self.header[..before + more])?
        };
        let Some((header, length)) = parsed else {
            // An incomplete header is shorter than the longest one, so it fits.
            self.header[before..before + input.len()].copy_from_slice(input);
            self.header_bytes = before + input.len();
            return Ok((None, input.len()));
        };
        self.header_bytes = 0;
        self.check(header)?;
        Ok((Some(header), length - before))
    }

    /// Checks that a frame with this header is allowed at this point, and not too large.
    fn check(&self, header: Header) -> Result<(), Violation> {
        match (header.opcode, self.fragmented) {
            (Opcode::Close | Opcode::Ping | Opcode::Pong, _) => return Ok(()),
            (Opcode::Continuation, None) => {
                return Err(Violation::Protocol("a continuation without a message"));
            }
            (Opcode::Text | Opcode::Binary, Some(_)) => {
                return Err(Violation::Protocol("the message before is incomplete"));
            }
            (Opcode::Continuation, Some(_)) | (Opcode::Text | Opcode::Binary, None) => {}
        }
        if header.length > self.bytes_max.saturating_sub(self.message.len()) {
            return Err(Violation::TooLarge);
        }
        Ok(())
    }

    fn count(&mut self, header: Header) {
        let is_bare = match (header.opcode.is_control(), header.fin) {
            (true, _) => true,
            (false, true) => header.length == 0 && self.fragmented.is_none(),
            (false, false) => header.length < FRAGMENT_BYTES_MIN,
        };
        self.seen.frames += 1;
        self.seen.messages += u32::from(header.fin && !header.opcode.is_control());
        self.seen.bare += u32::from(is_bare);
    }

    /// Buffers a piece of a frame, of which `received` bytes have arrived, `piece` included.
    fn keep(&mut self, header: Header, received: usize, piece: &[u8]) {
        if header.opcode.is_control() {
            return self.control.extend_from_slice(piece);
        }
        let needed = self.message.len() + piece.len();
        if needed > self.message.capacity() {
            // Memory is reserved for bytes that arrived, not for a length that a header claims.
            let whole = match header.fin {
                true => needed + (header.length - received),
                false => self.bytes_max,
            };
            let target = whole.min(needed * 2).max(needed);
            self.message.reserve_exact(target - self.message.len());
        }
        self.message.extend_from_slice(piece);
    }

    /// Hands out the message that `piece`, the last one of a frame, completes.
    fn complete(
        &mut self,
        header: Header,
        piece: &[u8],
        take: &mut impl FnMut(Incoming<'_>) -> Flow,
    ) -> Result<Flow, Violation> {
        self.count(header);
        if header.opcode.is_control() {
            let kept = std::mem::take(&mut self.control);
            if kept.is_empty() {
                return control(header.opcode, piece).map(take);
            }
            let whole = [kept.as_slice(), piece].concat();
            return control(header.opcode, &whole).map(take);
        }
        let kind = self.fragmented.unwrap_or(header.opcode);
        if !header.fin {
            self.keep(header, header.length, piece);
            self.fragmented = Some(kind);
            return Ok(Flow::Continue);
        }
        let lent = self.message.is_empty();
        if !lent {
            self.keep(header, header.length, piece);
        }
        let kept = std::mem::take(&mut self.message);
        self.fragmented = None;
        let bytes = if lent { piece } else { kept.as_slice() };
        Ok(match kind {
            Opcode::Text => {
                let text = str::from_utf8(bytes).map_err(|_| Violation::NotUtf8)?;
                take(Incoming::Text(text))
            }
            _ if lent => take(Incoming::Binary(Bytes::copy_from_slice(piece))),
            _ => take(Incoming::Binary(kept.into())),
        })
    }
}

fn control(opcode: Opcode, payload: &[u8]) -> Result<Incoming<'_>, Violation> {
    match opcode {
        Opcode::Ping => Ok(Incoming::Ping(payload)),
        Opcode::Pong => Ok(Incoming::Pong),
        _ => closing(payload).map(Incoming::Close),
    }
}

/// The code of a close frame.
fn closing(payload: &[u8]) -> Result<Option<u16>, Violation> {
    let Some((code, reason)) = payload.split_first_chunk() else {
        return match payload {
            [] => Ok(None),
            _ => Err(Violation::Protocol("an incomplete close code")),
        };
    };
    let code = u16::from_be_bytes(*code);
    if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
        return Err(Violation::Protocol(
            "a close code that a client must not send",
        ));
    }
    str::from_utf8(reason).map_err(|_| Violation::NotUtf8)?;
    Ok(Some(code))
}

#[cfg(test)]
mod tests;
