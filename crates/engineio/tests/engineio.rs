//! Engine.IO on a stream that is no plain TCP connection, as with TLS.

#![expect(clippy::disallowed_methods, reason = "a test owns its tasks")]

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use engineio::{
    Answer, Busy, Carrier, Connection, Door, Engine, Message, Options, Reason, message_text,
};
use http::Extensions;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use parking_lot::Mutex;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    time::timeout,
};

#[derive(Clone, Default)]
struct Echo {
    events: Arc<Mutex<Vec<String>>>,
}

impl Echo {
    fn note(&self, event: String) {
        self.events.lock().push(event);
    }
}

impl Door for Echo {
    type Data = ();

    fn admit(&self, _: Carrier, _: &Extensions) -> Result<(), Box<Answer>> {
        Ok(())
    }

    fn opened(&self, connection: &Arc<Connection<()>>) {
        assert_eq!(connection.carrier(), Carrier::Websocket);
        self.note(format!("opened {:?}", connection.authorization()));
    }

    fn upgraded(&self, _: &Arc<Connection<()>>) {}

    fn text(&self, text: &str, connection: &Arc<Connection<()>>) {
        let mut echo = message_text(text.len());
        echo.push_str(text);
        let attachment = Bytes::from(vec![b'x'; 100_000]);
        connection.send(Message::new(echo, [attachment]));
    }

    fn binary(&self, bytes: Bytes, _: &Arc<Connection<()>>) {
        self.note(format!("binary {}", bytes.len()));
    }

    fn knows(&self, _: &Arc<Connection<()>>) -> bool {
        true
    }

    fn busy(&self, _: &Arc<Connection<()>>) -> Option<Busy> {
        None
    }

    fn spawn(
        &self,
        _: Option<&Connection<Self::Data>>,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        tokio::spawn(task);
    }

    fn closed(&self, _: &Arc<Connection<()>>, reason: Reason) {
        self.note(format!("{reason:?}"));
    }
}

async fn read_until(client: &mut DuplexStream, end: &[u8]) -> Vec<u8> {
    let mut read = Vec::new();
    let reading = async {
        while !read.ends_with(end) {
            read.push(client.read_u8().await.expect("a byte"));
        }
    };
    timeout(Duration::from_secs(10), reading)
        .await
        .expect("in time");
    read
}

#[tokio::test]
async fn a_stream_of_any_kind_carries_a_websocket() {
    // The buffer is far smaller than the messages.
    let (mut client, server) = duplex(1000);
    let echo = Echo::default();
    let engine = Engine::new(echo.clone(), Options::default());
    tokio::spawn(async move {
        let service = TowerToHyperService::new(engine);
        let http = auto::Builder::new(TokioExecutor::new());
        let _ = http
            .serve_connection_with_upgrades(TokioIo::new(server), service)
            .await;
    });
    let request = "GET /?EIO=4&transport=websocket HTTP/1.1\r\nhost: x\r\nauthorization: Bearer t\r\n\
        upgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-version: 13\r\n\
        sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    // The first frame arrives together with the request: `4hi`, masked with zeros.
    let first = b"\x81\x83\0\0\0\x004hi";
    client
        .write_all(&[request.as_bytes(), first].concat())
        .await
        .expect("to write");
    let answer = read_until(&mut client, b"\x81\x034hi\x82\x7f\0\0\0\0\0\x01\x86\xa0").await;
    let head = answer.escape_ascii().to_string();
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    assert!(head.contains(r#"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="#), "{head}");
    assert!(head.contains(r#"0{\"sid\":\""#), "{head}");
    let mut payload = vec![0; 100_000];
    client.read_exact(&mut payload).await.expect("the payload");
    assert!(payload.iter().all(|&byte| byte == b'x'));
    drop(client);
    while echo.events.lock().len() < 2 {
        tokio::task::yield_now().await;
    }
    assert_eq!(
        *echo.events.lock(),
        [r#"opened Some("Bearer t")"#, "ByPeer"]
    );
}
