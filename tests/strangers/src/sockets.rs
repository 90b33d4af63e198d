//! Connections of strangers: those that are opened again and again, and those that are held.

use std::{
    collections::VecDeque,
    io::{self, ErrorKind, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use socket2 as net;

use crate::{Target, wire};

/// How long a stranger waits for anything.
const PATIENCE: Duration = Duration::from_secs(2);
/// The time between two looks at connections that are held.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// What the system returns for an attempt to connect that is under way (EINPROGRESS).
const IN_PROGRESS: i32 = 115;

/// A number that is counted by all threads.
pub struct Counter(AtomicU64);

impl Counter {
    /// The number.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn add(&self, more: usize) {
        self.0.fetch_add(more as u64, Ordering::Relaxed);
    }
}

/// The connections that were opened.
pub static CONNECTIONS: Counter = Counter(AtomicU64::new(0));
/// The bytes that were sent.
pub static BYTES: Counter = Counter(AtomicU64::new(0));

/// A connection of a stranger.
pub struct Socket(TcpStream);

impl Socket {
    /// Opens a connection to the server.
    pub fn open(target: &Target) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&target.address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        CONNECTIONS.add(1);
        Ok(Self(stream))
    }

    /// Opens a connection with a WebSocket, and waits until it is open.
    pub fn web_socket(target: &Target) -> io::Result<Self> {
        let mut socket = Self::open(target)?;
        socket.send(wire::upgrade(None))?;
        socket.answer("0{")?;
        Ok(socket)
    }

    /// Sends `bytes`.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.0.write_all(bytes.as_ref())?;
        BYTES.add(bytes.as_ref().len());
        Ok(())
    }

    /// Waits until `part` was received, and returns what was received.
    pub fn answer(&mut self, part: &str) -> io::Result<String> {
        let (mut text, mut buffer) = (String::new(), [0; 4096]);
        while !text.contains(part) {
            match self.0.read(&mut buffer)? {
                0 => return Err(ErrorKind::UnexpectedEof.into()),
                length => text += &String::from_utf8_lossy(&buffer[..length]),
            }
        }
        Ok(text)
    }

    /// Waits until the server has closed the connection.
    pub fn end(&mut self) -> io::Result<()> {
        let mut buffer = [0; 4096];
        while self.0.read(&mut buffer)? > 0 {}
        Ok(())
    }

    /// Sends what `next` returns, again and again, until the server ends the connection or `next` returns nothing. All
    /// answers are read.
    pub fn flood<'a>(&mut self, mut next: impl FnMut() -> Option<&'a [u8]>) -> io::Result<()> {
        let mut reading = Self(self.0.try_clone()?);
        reading.0.set_read_timeout(None)?;
        thread::spawn(move || reading.end());
        while let Some(bytes) = next() {
            self.send(bytes)?;
        }
        Ok(())
    }

    /// Whether the connection is open. What was received is read.
    fn is_open(&mut self) -> bool {
        loop {
            match self.0.read(&mut [0; 4096]) {
                Ok(0) => return false,
                Ok(_) => {}
                Err(error) => return error.kind() == ErrorKind::WouldBlock,
            }
        }
    }
}

/// Lets `count` threads open connections without end, each one after the other, and call `work` with them.
pub fn repeat(
    target: &Arc<Target>,
    count: usize,
    work: impl Fn(&Target) -> io::Result<()> + Clone + Send + 'static,
) {
    for _ in 0..count {
        let (target, work) = (Arc::clone(target), work.clone());
        thread::spawn(move || {
            loop {
                if work(&target).is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused) {
                    thread::sleep(LOOK_INTERVAL);
                }
            }
        });
    }
}

/// Attempts to connect again and again, without waiting for it: from `sources` addresses of this machine by IPv4, where a server that
/// listens on ::1 listens too if it listens on all addresses, with so many attempts under way from each. Each attempt counts as a connection.
pub fn attempt(target: &Arc<Target>, sources: u8, at_once: usize) {
    let port = target.address.port();
    thread::spawn(move || {
        let mut under_way = VecDeque::new();
        for source in (0..sources).cycle() {
            if under_way.len() >= at_once * usize::from(sources) {
                under_way.pop_front();
            }
            match attempt_once(port, source) {
                Ok(socket) => under_way.push_back(socket),
                // There are no descriptors or ports.
                Err(_) => drop(under_way.pop_front()),
            }
        }
    });
}

fn attempt_once(port: u16, source: u8) -> io::Result<net::Socket> {
    let socket = net::Socket::new(net::Domain::IPV4, net::Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    let source = SocketAddr::from(([127, 0, 1, source + 1], 0));
    socket.bind(&source.into())?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    CONNECTIONS.add(1);
    match socket.connect(&address.into()) {
        Err(error) if error.raw_os_error() != Some(IN_PROGRESS) => Err(error),
        _ => Ok(socket),
    }
}

/// Holds `count` connections, each of which has sent `first`, and then sends `then` at each interval. Connections that the
/// server has closed are opened again.
pub fn hold(
    target: &Arc<Target>,
    count: usize,
    first: impl Into<String>,
    then: Option<(&'static str, Duration)>,
) {
    let (target, first) = (Arc::clone(target), first.into());
    thread::spawn(move || {
        let mut sockets: Vec<Option<Socket>> = (0..count).map(|_| None).collect();
        let mut sent = Instant::now();
        loop {
            let is_due = then.is_some_and(|(_, interval)| sent.elapsed() >= interval);
            if is_due {
                sent = Instant::now();
            }
            for socket in &mut sockets {
                if !socket.as_mut().is_some_and(Socket::is_open) {
                    *socket = begin(&target, &first).ok();
                } else if let (Some(socket), Some((bytes, _)), true) = (socket, then, is_due) {
                    // A connection that has failed is found to be closed at the next look.
                    let _ = socket.send(bytes);
                }
            }
            thread::sleep(LOOK_INTERVAL);
        }
    });
}

fn begin(target: &Target, first: &str) -> io::Result<Socket> {
    let mut socket = Socket::open(target)?;
    socket.send(first)?;
    socket.0.set_nonblocking(true)?;
    Ok(socket)
}
