//! Accepts connections, in a thread of its own.
//!
//! Connections that are not accepted fill the kernel's queue, and then clients are left without an answer for a second and more.
//! So accepting waits for no task: a thread does it that does nothing else. Connections that an address has beyond what
//! strangers get of the processor end here, which costs least. While strangers use all that they get, the thread does not wake for
//! each connection, but accepts those of a millisecond or more together; and its priority is low. Otherwise many connections would
//! delay the tasks of clients.

use std::{
    io,
    net::{SocketAddr, TcpListener as StdListener, TcpStream as StdStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use ipnet::IpNet;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    net::sockopt::set_socket_linger,
    process::setpriority_process,
};
use tokio::net::{TcpListener, TcpSocket};
use tracing::{debug, warn};

use super::{Handshake, Service, Shared, connection, syn_filter::SynFilter};
use crate::{
    limits::{Subnet, processor_time},
    supervise::Task,
};

/// How long no connection is accepted after the system refused one for lack of resources.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);
/// While strangers use all that they get of the processor, connections gather in the kernel's queue for so long, or for so many
/// times as long as it took to accept those before.
const GATHER_PAUSE: Duration = Duration::from_millis(1);
const GATHER_PAUSES: u32 = 2;
/// The priority of the thread ("nice"): tasks of clients come first where they need all of the processor.
const PRIORITY: i32 = 15;
/// After this time at the latest, the thread finds that it has to end.
const LOOK_INTERVAL: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 100_000_000,
};
/// After so many connections, what the thread has used is charged to strangers.
const CONNECTIONS_PER_CHARGE: usize = 64;

/// The most connections that wait in the kernel until they are accepted; the system may allow fewer.
const ACCEPT_QUEUE_MAX: u32 = 16_384;

/// Listens on `address`, with a queue as long as the system allows: whoever finds it full waits for a
/// second.
///
/// # Errors
/// The system does not allow it.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(ACCEPT_QUEUE_MAX)
}

/// Accepts connections from `listener`, and gives strangers their turns, until the future is dropped.
///
/// # Panics
/// Connections cannot be accepted any more.
pub(super) async fn accept<H: Handshake, S: Service>(
    shared: &Arc<Shared<H, S>>,
    listener: TcpListener,
) {
    let mut accepting = Accepting {
        shared: Arc::clone(shared),
        listener: listener.into_std().expect("a listener of this runtime"),
        filter: SynFilter::new(),
        stopped: Arc::default(),
    };
    let _stop = Stop(Arc::clone(&accepting.stopped));
    let supervisor = &shared.parts.supervisor;
    tokio::select! {
        _ = supervisor.thread(Task::Listener, move || accepting.run()) => {
            panic!("connections are accepted no more");
        }
        () = shared.parts.share.give_turns() => {}
    }
}

/// Ends the thread when it is dropped.
struct Stop(Arc<AtomicBool>);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What the thread has.
struct Accepting<H, S> {
    shared: Arc<Shared<H, S>>,
    /// It does not block.
    listener: StdListener,
    filter: SynFilter,
    stopped: Arc<AtomicBool>,
}

impl<H: Handshake, S: Service> Accepting<H, S> {
    fn run(&mut self) {
        // On Linux this is the priority of the present thread alone.
        if let Err(error) = setpriority_process(None, PRIORITY) {
            debug!(%error, "connections are accepted with the priority of other work");
        }
        while !self.stopped.load(Ordering::Relaxed) {
            let began = processor_time();
            let more = self.accept_some();
            let took = processor_time().saturating_sub(began);
            let share = &self.shared.parts.share;
            share.charge(took);
            self.filter
                .adapt(&self.listener, &self.shared.parts.metrics);
            if more {
                continue;
            }
            if share.is_exhausted() {
                thread::sleep(GATHER_PAUSE.max(took * GATHER_PAUSES));
            }
            let mut listener = [PollFd::new(&self.listener, PollFlags::IN)];
            match poll(&mut listener, Some(&LOOK_INTERVAL)) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return warn!(%error, "connections cannot be awaited"),
            }
        }
    }

    /// Accepts the connections that wait, but not too many at once; `false` if none waits any more.
    fn accept_some(&mut self) -> bool {
        for _ in 0..CONNECTIONS_PER_CHARGE {
            match self.listener.accept() {
                Ok((tcp, address)) => {
                    if let Err(error) = self.begin(tcp, address) {
                        debug!(%error, "a connection ended before it began");
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                Err(error) if concerns_one_connection(&error) => {
                    debug!(%error, "a connection ended before it was accepted");
                }
                Err(error) => self.survive(&error),
            }
        }
        true
    }

    fn begin(&mut self, tcp: StdStream, address: SocketAddr) -> io::Result<()> {
        let parts = &self.shared.parts;
        let ip = address.ip().to_canonical();
        let subnet = Subnet::from(ip);
        if !parts.proxies.contains(ip) && parts.share.is_full(subnet) {
            // Without an answer, which would cost as much as a turn, and by a reset (RST), of which the kernel keeps nothing.
            parts.metrics.limit_applied("stranger_cpu_ms_per_second");
            if !parts.proxies.overlap(IpNet::from(subnet)) {
                self.filter.refuse(subnet);
            }
            return Ok(set_socket_linger(&tcp, Some(Duration::ZERO))?);
        }
        self.filter.release(&tcp);
        tcp.set_nonblocking(true)?;
        // Without this option small frames wait for the peer's delayed acknowledgement (TCP). A
        // connection that refuses the option still works.
        let _ = tcp.set_nodelay(true);
        connection::begin(&self.shared, tcp, ip);
        Ok(())
    }

    /// The process has no descriptors or no memory for another connection: a stranger is evicted,
    /// and the next connection is accepted a moment later. It waits in the kernel meanwhile.
    fn survive(&self, error: &io::Error) {
        let shared = &self.shared;
        shared.parts.metrics.limit_applied("file_descriptors");
        if let Some(suppressed) = shared.refusals.admit() {
            warn!(%error, suppressed, "no connection can be accepted at present; see docs/operations.md, Connections");
        }
        shared.parts.places.evict_one();
        thread::sleep(ACCEPT_PAUSE);
    }
}

/// Whether an error of `accept` is that of the connection that would have been accepted.
fn concerns_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
    )
}
