//! The stop of the server: everything that was accepted is written and acknowledged, and then the
//! clients move to other servers, evenly over some seconds if they are many.

use std::{future::pending, time::Duration};

use tokio::time::Instant;
use tracing::{info, warn};

use super::App;
use crate::{store::Unwritten, supervise::Task};

/// How long the server waits at its stop for answers to reach clients, and again for
/// transports to close.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(500);
/// The time between two connections that are closed: their clients connect again about as evenly.
const CLOSE_INTERVAL: Duration = Duration::from_micros(3500);
/// The longest time in which all connections are closed, however many: a seventh of them a second.
const SPREAD_MAX: Duration = Duration::from_secs(7);
/// The time for that in a stop that has taken long already.
const SPREAD_MIN: Duration = Duration::from_secs(1);
/// From the beginning of a stop to the close of the last connection.
const CLOSED_WITHIN: Duration = Duration::from_secs(13);

impl App {
    /// Refuses new work, writes and acknowledges what was accepted, and moves the clients to other servers.
    pub(super) async fn drain(&self) -> Unwritten {
        let began = Instant::now();
        let deadline = began + Duration::from_millis(self.config.timing.drain_timeout_ms);
        info!(
            connections = self.connections(),
            rooms = self.rooms.len(),
            "draining"
        );
        self.sessions.begin_draining();
        let late = tokio::select! {
            late = self.rooms.drain(deadline) => late,
            () = self.writer_is_lost() => self.rooms.len(),
        };
        if late > 0 {
            warn!(rooms = late, "some rooms did not write all updates in time");
        }
        let unwritten = self.store.close(deadline).await;
        let sent_by = Instant::now() + CLOSE_TIMEOUT;
        while !self.are_drained() && Instant::now() < sent_by {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let spread = spread(self.connections(), began.elapsed());
        tokio::join!(
            self.sockets.close_within(spread),
            self.websockets.close_within(spread)
        );
        let closed_by = Instant::now() + CLOSE_TIMEOUT;
        while !self.have_ended() && Instant::now() < closed_by {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        info!(took_ms = began.elapsed().as_millis() as u64, "drained");
        unwritten
    }

    /// The number of connections that are open over all doors.
    fn connections(&self) -> usize {
        self.sockets.len() + self.websockets.len()
    }

    /// Whether all queued answers have been handed to the kernel.
    fn are_drained(&self) -> bool {
        self.sockets.is_drained() && self.websockets.are_drained()
    }

    fn have_ended(&self) -> bool {
        self.sockets.have_ended() && self.websockets.have_ended()
    }

    /// Resolves a moment after the log's writer has died. Then it is useless to wait for
    /// rooms, because no update can be written any more. Rooms without unwritten updates end in
    /// order in that moment.
    async fn writer_is_lost(&self) {
        if self.supervisor.losing().await != Task::LogWriter {
            return pending().await;
        }
        tokio::time::sleep(CLOSE_TIMEOUT).await;
    }
}

/// Within which time `connections` are closed by a server that has been stopping for the time
/// `elapsed`.
fn spread(connections: usize, elapsed: Duration) -> Duration {
    let wanted = CLOSE_INTERVAL.saturating_mul(u32::try_from(connections).unwrap_or(u32::MAX));
    let left = CLOSED_WITHIN.saturating_sub(elapsed);
    wanted.min(SPREAD_MAX).min(left.max(SPREAD_MIN))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_connections_are_closed_at_once_and_many_within_seven_seconds() {
        let seconds =
            |connections, elapsed| spread(connections, Duration::from_secs(elapsed)).as_secs_f64();
        assert_eq!(seconds(0, 0), 0.0);
        assert!(seconds(20, 0) < 0.1);
        assert_eq!(seconds(2000, 0), 7.0);
        assert_eq!(seconds(usize::MAX, 0), 7.0);
        assert_eq!(seconds(2000, 10), 3.0);
        assert_eq!(seconds(2000, 20), 1.0);
    }
}
