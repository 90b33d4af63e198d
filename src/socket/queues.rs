//! The memory of all queues of outgoing messages together.
//!
//! Each queue has a limit of its own, but thousands of clients that read slowly could hold more than
//! the machine has. Twice a second the queues are added up; a message that waits in several queues
//! counts once, since they share it. Beyond the limit the clients that hold most are cut: they connect
//! again, and synchronise.

use std::{cmp::Reverse, collections::HashMap, sync::Arc};

use foldhash::fast::RandomState;

use super::{Shared, client::EngineSocket, connection::Phase};

/// The messages that wait in queues.
#[derive(Default)]
struct Held {
    /// In how many queues each waits, and its bytes.
    messages: HashMap<usize, (usize, usize), RandomState>,
    bytes: usize,
}

/// Cuts the clients that hold most while the queues hold more than their limit.
pub(super) fn limit(shared: &Shared) {
    let bytes_max = shared.limits.queues_bytes_max;
    let sockets: Vec<(usize, Arc<EngineSocket>)> = {
        let connections = shared.connections.lock();
        let all = connections.values();
        let holding = all.map(|socket| (socket.held_bytes(), socket));
        let holding = holding.filter(|(bytes, _)| *bytes > 0);
        holding
            .map(|(bytes, socket)| (bytes, Arc::clone(socket)))
            .collect()
    };
    // Without those that are shared it is at most that much, so nothing has to be looked up.
    if sockets.iter().map(|(bytes, _)| bytes).sum::<usize>() <= bytes_max {
        return;
    }
    relieve(shared, sockets, bytes_max);
}

fn relieve(shared: &Shared, mut sockets: Vec<(usize, Arc<EngineSocket>)>, bytes_max: usize) {
    let mut held = Held::default();
    for (_, socket) in &sockets {
        socket.for_each_held(|message, bytes| held.add(message, bytes));
    }
    sockets.sort_unstable_by_key(|(bytes, _)| Reverse(*bytes));
    for (_, socket) in sockets {
        if held.bytes <= bytes_max {
            return;
        }
        socket.for_each_held(|message, _| held.remove(message));
        shared.metrics.limit_applied("queues_bytes_max");
        cut(shared, &socket);
    }
}

fn cut(shared: &Shared, socket: &EngineSocket) {
    let client = socket.data.phase(|phase| match phase {
        Phase::Connected(client) => Some(Arc::clone(client)),
        Phase::Opened | Phase::Verifying(_) | Phase::Closed => None,
    });
    match client {
        Some(client) => client.cut("queues_full"),
        None => {
            shared.metrics.socket_cut("queues_full");
            socket.cut(engineio::Reason::Unwanted);
        }
    }
}

impl Held {
    fn add(&mut self, message: usize, bytes: usize) {
        let (queues, _) = self.messages.entry(message).or_insert((0, bytes));
        if *queues == 0 {
            self.bytes += bytes;
        }
        *queues += 1;
    }

    /// Takes the message out of one queue.
    fn remove(&mut self, message: usize) {
        // One that was queued since is not known.
        let Some((queues, bytes)) = self.messages.get_mut(&message) else {
            return;
        };
        if *queues == 1 {
            self.bytes -= *bytes;
        }
        *queues = queues.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_in_several_queues_counts_once_until_it_is_in_none() {
        let mut held = Held::default();
        for (message, bytes) in [(1, 100), (1, 100), (2, 30)] {
            held.add(message, bytes);
        }
        assert_eq!(held.bytes, 130);
        held.remove(1);
        assert_eq!(held.bytes, 130);
        held.remove(1);
        held.remove(1);
        held.remove(3);
        assert_eq!(held.bytes, 30);
    }
}
