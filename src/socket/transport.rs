//! A TCP connection that can be cut from outside.
//!
//! A client that stops reading leaves the writer of its connection waiting in
//! the kernel, where no request to close reaches it. The switch makes the next
//! read and write fail instead. The client sees a broken transport, after
//! which socket.io-client reconnects by itself.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use futures_util::task::AtomicWaker;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

/// The switch of one TCP connection. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Transport {
    switch: Arc<Switch>,
}

#[derive(Debug, Default)]
struct Switch {
    cut: AtomicBool,
    reader: AtomicWaker,
    writer: AtomicWaker,
}

impl Transport {
    /// Fails whatever reads or writes the connection, now and from here on.
    pub fn cut(&self) {
        self.switch.cut.store(true, Ordering::Release);
        self.switch.reader.wake();
        self.switch.writer.wake();
    }

    fn check(&self) -> io::Result<()> {
        match self.switch.cut.load(Ordering::Acquire) {
            true => Err(io::ErrorKind::ConnectionReset.into()),
            false => Ok(()),
        }
    }
}

/// A TCP connection with its switch.
#[derive(Debug)]
pub struct Stream {
    tcp: TcpStream,
    transport: Transport,
}

impl Stream {
    /// Puts a switch on `tcp` and has it send small messages at once.
    pub fn new(tcp: TcpStream) -> Self {
        // Without it small frames wait for the peer's delayed acknowledgement;
        // a connection that refuses the option still works.
        let _ = tcp.set_nodelay(true);
        Self {
            tcp,
            transport: Transport::default(),
        }
    }

    /// The switch.
    pub fn transport(&self) -> Transport {
        self.transport.clone()
    }

    /// Passes `poll` on unless the connection is cut, also while it waits.
    fn guarded<T>(
        &mut self,
        cx: &mut Context<'_>,
        waker: impl Fn(&Switch) -> &AtomicWaker,
        poll: impl FnOnce(Pin<&mut TcpStream>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        self.transport.check()?;
        let polled = poll(Pin::new(&mut self.tcp), cx);
        if polled.is_pending() {
            waker(&self.transport.switch).register(cx.waker());
            self.transport.check()?;
        }
        polled
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.guarded(
            cx,
            |switch| &switch.reader,
            |tcp, cx| tcp.poll_read(cx, buf),
        )
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.guarded(
            cx,
            |switch| &switch.writer,
            |tcp, cx| tcp.poll_write(cx, buf),
        )
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.guarded(
            cx,
            |switch| &switch.writer,
            |tcp, cx| tcp.poll_write_vectored(cx, bufs),
        )
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.guarded(cx, |switch| &switch.writer, |tcp, cx| tcp.poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;

    #[tokio::test]
    async fn a_writer_that_waits_for_a_reader_is_freed_by_the_switch() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (client, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
        let _silent = client.expect("a connection");
        let mut stream = Stream::new(accepted.expect("a connection").0);
        let transport = stream.transport();
        let writer = tokio::spawn(async move {
            let much = vec![0; 64 << 20];
            stream.write_all(&much).await
        });
        tokio::task::yield_now().await;
        transport.cut();
        let error = writer
            .await
            .expect("no panic")
            .expect_err("the connection is cut");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    }

    #[tokio::test]
    async fn a_reader_is_freed_as_well() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (client, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
        let _silent = client.expect("a connection");
        let mut stream = Stream::new(accepted.expect("a connection").0);
        let transport = stream.transport();
        let reader = tokio::spawn(async move { stream.read_u8().await });
        tokio::task::yield_now().await;
        transport.cut();
        assert!(reader.await.expect("no panic").is_err());
    }
}
