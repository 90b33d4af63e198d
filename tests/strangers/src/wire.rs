//! The bytes that strangers send: requests, and frames of WebSockets.

use std::{
    collections::hash_map::RandomState,
    hash::{BuildHasher, Hasher},
};

/// The request that opens a session by polling.
pub const POLLING: &str = "GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nhost: x\r\n\r\n";
/// The first byte of a text, of a fragment that is not the first one, and of a ping.
pub const TEXT: u8 = 0x81;
/// A text that more fragments follow.
pub const TEXT_BEGINS: u8 = 0x01;
/// A fragment that more fragments follow.
pub const FRAGMENT: u8 = 0x00;
/// A message of bytes.
pub const BINARY: u8 = 0x82;
/// A ping.
pub const PING: u8 = 0x89;
/// The address of Hocuspocus.
pub const HOCUSPOCUS: &str = "/hocuspocus";

/// The request that opens a WebSocket of Socket.IO, for the session `sid` where there is one.
pub fn upgrade(sid: Option<&str>) -> String {
    let session = sid.map(|sid| format!("&sid={sid}")).unwrap_or_default();
    upgrade_at(&format!("/socket.io/?EIO=4&transport=websocket{session}"))
}

/// The request that opens a WebSocket at `address`.
pub fn upgrade_at(address: &str) -> String {
    format!(
        "GET {address} HTTP/1.1\r\nhost: x\r\n\
         upgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-version: 13\r\n\
         sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
}

/// A poll of the session `sid`.
pub fn poll(sid: &str) -> String {
    format!("GET /socket.io/?EIO=4&transport=polling&sid={sid} HTTP/1.1\r\nhost: x\r\n\r\n")
}

/// The head of a request with a body for the session `sid`; `header` says how long it is.
pub fn post(sid: &str, header: &str) -> String {
    format!(
        "POST /socket.io/?EIO=4&transport=polling&sid={sid} HTTP/1.1\r\nhost: x\r\n{header}\r\n\r\n"
    )
}

/// The session id in the answer to [`POLLING`].
pub fn sid(answer: &str) -> Option<&str> {
    let (_, rest) = answer.split_once("\"sid\":\"")?;
    rest.split('"').next()
}

/// The frames of `messages`, masked with zeros. The first byte of each is `first`.
pub fn frames<T: AsRef<[u8]>>(first: u8, messages: impl IntoIterator<Item = T>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for message in messages {
        let message = message.as_ref();
        bytes.push(first);
        match u8::try_from(message.len()) {
            Ok(length @ ..126) => bytes.push(0x80 | length),
            _ => {
                bytes.push(0x80 | 126);
                let length = u16::try_from(message.len()).expect("packets are short");
                bytes.extend_from_slice(&length.to_be_bytes());
            }
        }
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(message);
    }
    bytes
}

/// The packet that begins a session with `token`.
pub fn connect(token: &str) -> String {
    format!("40{{\"token\":\"{token}\"}}")
}

/// The message with which a provider of Hocuspocus shows `token` for `document`.
pub fn authentication(document: &str, token: &str) -> Vec<u8> {
    let mut message = Vec::new();
    var_string(&mut message, document);
    // An authentication, and of these a token.
    message.extend([2, 0]);
    var_string(&mut message, token);
    message
}

/// Writes `text` as lib0 does: its length, seven bits a byte, and its bytes.
fn var_string(out: &mut Vec<u8>, text: &str) {
    let mut length = text.len();
    while length > 0x7f {
        out.push(length as u8 & 0x7f | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
    out.extend_from_slice(text.as_bytes());
}

/// `token` with a wrong signature: another one each time, since a server may remember those that it has seen.
pub fn forge(token: &str) -> String {
    let content = token.rsplit_once('.').map_or(token, |(content, _)| content);
    // Each state of this hasher has random keys.
    let mut signature = String::new();
    for _ in 0..3 {
        signature += &format!("{:016x}", RandomState::new().build_hasher().finish());
    }
    format!("{content}.{}", &signature[..43])
}
