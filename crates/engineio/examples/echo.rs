//! An Engine.IO server that sends back what it is sent: `cargo run -p engineio --example echo`.
//! A client for it, in Node or a browser: `new Socket("http://localhost:3002")` of engine.io-client.

#![expect(clippy::disallowed_methods, reason = "an example owns its tasks")]

use std::{io, sync::Arc};

use bytes::Bytes;
use engineio::{
    Answer, Busy, Carrier, Connection, Door, Engine, Message, Options, Reason, message_text,
};
use http::Extensions;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::{server::conn::auto::Builder, service::TowerToHyperService};
use tokio::net::TcpListener;

struct Echo;

impl Door for Echo {
    type Data = ();

    fn admit(&self, _: Carrier, _: &Extensions) -> Result<(), Box<Answer>> {
        Ok(())
    }

    fn opened(&self, connection: &Arc<Connection<()>>) {
        println!("{connection:?} opened");
    }

    fn upgraded(&self, connection: &Arc<Connection<()>>) {
        println!("{connection:?} upgraded");
    }

    fn text(&self, text: &str, connection: &Arc<Connection<()>>) {
        let mut echo = message_text(text.len());
        echo.push_str(text);
        connection.send(Message::new(echo, []));
    }

    fn binary(&self, bytes: Bytes, connection: &Arc<Connection<()>>) {
        connection.send(Message::binary(bytes));
    }

    fn knows(&self, _: &Arc<Connection<()>>) -> bool {
        true
    }

    fn busy(&self, _: &Arc<Connection<()>>) -> Option<Busy> {
        None
    }

    fn closed(&self, connection: &Arc<Connection<()>>, reason: Reason) {
        println!("{connection:?} closed: {reason:?}");
    }

    fn spawn(
        &self,
        _: Option<&Connection<Self::Data>>,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        tokio::spawn(task);
    }
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let engine = Engine::new(Echo, Options::default());
    let listener = TcpListener::bind("127.0.0.1:3002").await?;
    loop {
        let (stream, _) = listener.accept().await?;
        let service = TowerToHyperService::new(engine.clone());
        tokio::spawn(async move {
            let http = Builder::new(TokioExecutor::new());
            let served = http.serve_connection_with_upgrades(TokioIo::new(stream), service);
            let _ = served.await;
        });
    }
}
