//! All limits and durations, each with its variable, its default and its range.
//!
//! Each is defined once, in a row of the tables below; the struct, its default,
//! its check and the list of variables are generated from the row.

use super::read::{ConfigError, Reader};

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;
const GIB: usize = 1024 * MIB;
const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Turns a table of `VARIABLE field: type = default, lowest..=highest;` into a struct.
macro_rules! settings {
    (
        $(#[$about:meta])* pub struct $name:ident {
            $($(#[$doc:meta])* $variable:ident $field:ident: $type:ty = $default:expr, $range:expr;)*
        }
    ) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name {
            $($(#[$doc])* pub $field: $type,)*
        }

        impl $name {
            /// The names of the variables, in the order of the fields.
            pub(super) const VARIABLES: &[&str] = &[$(stringify!($variable)),*];

            pub(super) fn read(reader: &Reader<'_>) -> Result<Self, ConfigError> {
                Ok(Self {
                    $($field: reader.number(stringify!($variable), $default, $range)?,)*
                })
            }

            /// Each variable with its value, in the order of the fields.
            pub(super) fn values(&self) -> Vec<(&'static str, String)> {
                vec![$((stringify!($variable), self.$field.to_string())),*]
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $default,)* }
            }
        }
    };
}

settings! {
    /// The limits of one client, one document and the whole server.
    pub struct Limits {
        /// The largest document update that is accepted, in bytes.
        UPDATE_BYTES_MAX update_bytes_max: usize = 2 * MIB, KIB..=64 * MIB;
        /// The largest awareness update that is accepted, in bytes.
        AWARENESS_BYTES_MAX awareness_bytes_max: usize = 64 * KIB, KIB..=MIB;
        /// The largest document, in bytes of its encoded state.
        DOCUMENT_BYTES_MAX document_bytes_max: usize = 64 * MIB, 64 * KIB..=1024 * MIB;
        /// The largest estimated size of one document in memory, in bytes. Many small
        /// edits take far more memory than their encoding has bytes.
        DOCUMENT_MEMORY_BYTES_MAX document_memory_bytes_max: usize = 512 * MIB, MIB..=64 * GIB;
        /// The largest estimated size of all open documents in memory, in bytes. 0 means half
        /// of the memory that the process's cgroup, or else the machine, has.
        MEMORY_BYTES_MAX memory_bytes_max: usize = 0, 0..=16 * 1024 * GIB;
        /// The largest size of the updates of all documents that are accepted and not yet
        /// written, in bytes.
        JOURNAL_BYTES_MAX journal_bytes_max: usize = 64 * MIB, 64 * KIB..=4096 * MIB;
        /// Requests of one socket a second, without updates; the burst is twice that.
        REQUESTS_PER_SECOND requests_per_second: u32 = 100, 1..=100_000;
        /// Document and awareness updates of one socket a second, in the long run.
        UPDATES_PER_SECOND updates_per_second: u32 = 500, 1..=100_000;
        /// Document and awareness updates that one socket may send at once.
        UPDATES_BURST updates_burst: u32 = 5000, 1..=1_000_000;
        /// The CPU time that the updates of one socket may cost in the long run, in
        /// milliseconds a second. The first microseconds of each are not counted.
        CPU_MS_PER_SECOND cpu_ms_per_second: u64 = 250, 1..=100 * SECOND;
        /// The CPU time that the updates of one socket may cost at once, in milliseconds.
        CPU_BURST_MS cpu_burst_ms: u64 = 2 * SECOND, 1..=HOUR;
        /// The memory by which the updates of one socket may enlarge documents in the long
        /// run, in bytes a second.
        MEMORY_BYTES_PER_SECOND memory_bytes_per_second: usize = 4 * MIB, KIB..=64 * GIB;
        /// The memory by which the updates of one socket may enlarge documents at once, in bytes.
        MEMORY_BURST_BYTES memory_burst_bytes: usize = 64 * MIB, KIB..=64 * GIB;
        /// The bytes of the requests and updates of one socket, a second in the long run.
        RECEIVED_BYTES_PER_SECOND received_bytes_per_second: usize = 8 * MIB, KIB..=64 * GIB;
        /// The bytes of the requests and updates of one socket, at once.
        RECEIVED_BURST_BYTES received_burst_bytes: usize = 128 * MIB, KIB..=64 * GIB;
        /// As RECEIVED_BYTES_PER_SECOND, for all sockets and HTTP requests of one user together.
        USER_RECEIVED_BYTES_PER_SECOND user_received_bytes_per_second: usize = 32 * MIB, KIB..=64 * GIB;
        /// As RECEIVED_BURST_BYTES, for all sockets and HTTP requests of one user together.
        USER_RECEIVED_BURST_BYTES user_received_burst_bytes: usize = 512 * MIB, KIB..=64 * GIB;
        /// Joins and synchronisations of all sockets of one user, a second in the long run. Each 64 KiB
        /// of an answer count as a further one.
        JOINS_PER_SECOND joins_per_second: u32 = 200, 1..=1_000_000;
        /// Joins and synchronisations of all sockets of one user, at once.
        JOINS_BURST joins_burst: u32 = 10_000, 1..=100_000_000;
        /// Rooms that one socket may have joined.
        ROOMS_PER_SOCKET rooms_per_socket: usize = 128, 1..=10_000;
        /// Connections of one user: tabs and devices.
        SOCKETS_PER_USER sockets_per_user: usize = 20, 1..=100_000;
        /// As REQUESTS_PER_SECOND, for a service, which is a client with the right `publish`.
        SERVICE_REQUESTS_PER_SECOND service_requests_per_second: u32 = 1000, 1..=100_000;
        /// As UPDATES_PER_SECOND, for a service.
        SERVICE_UPDATES_PER_SECOND service_updates_per_second: u32 = 5000, 1..=100_000;
        /// As UPDATES_BURST, for a service.
        SERVICE_UPDATES_BURST service_updates_burst: u32 = 50_000, 1..=1_000_000;
        /// As CPU_MS_PER_SECOND, for a service.
        SERVICE_CPU_MS_PER_SECOND service_cpu_ms_per_second: u64 = SECOND, 1..=100 * SECOND;
        /// As CPU_BURST_MS, for a service.
        SERVICE_CPU_BURST_MS service_cpu_burst_ms: u64 = 10 * SECOND, 1..=HOUR;
        /// As MEMORY_BYTES_PER_SECOND, for a service.
        SERVICE_MEMORY_BYTES_PER_SECOND service_memory_bytes_per_second: usize = 32 * MIB, KIB..=64 * GIB;
        /// As MEMORY_BURST_BYTES, for a service.
        SERVICE_MEMORY_BURST_BYTES service_memory_burst_bytes: usize = 512 * MIB, KIB..=64 * GIB;
        /// As RECEIVED_BYTES_PER_SECOND, for a service.
        SERVICE_RECEIVED_BYTES_PER_SECOND service_received_bytes_per_second: usize = 64 * MIB, KIB..=64 * GIB;
        /// As RECEIVED_BURST_BYTES, for a service.
        SERVICE_RECEIVED_BURST_BYTES service_received_burst_bytes: usize = GIB, KIB..=64 * GIB;
        /// As USER_RECEIVED_BYTES_PER_SECOND, for a service.
        SERVICE_USER_RECEIVED_BYTES_PER_SECOND service_user_received_bytes_per_second: usize = 256 * MIB, KIB..=64 * GIB;
        /// As USER_RECEIVED_BURST_BYTES, for a service.
        SERVICE_USER_RECEIVED_BURST_BYTES service_user_received_burst_bytes: usize = 4 * GIB, KIB..=64 * GIB;
        /// As JOINS_PER_SECOND, for a service.
        SERVICE_JOINS_PER_SECOND service_joins_per_second: u32 = 4000, 1..=1_000_000;
        /// As JOINS_BURST, for a service.
        SERVICE_JOINS_BURST service_joins_burst: u32 = 200_000, 1..=100_000_000;
        /// As ROOMS_PER_SOCKET, for a service.
        SERVICE_ROOMS_PER_SOCKET service_rooms_per_socket: usize = 2048, 1..=100_000;
        /// Connections of one service.
        SERVICE_SOCKETS_MAX service_sockets_max: usize = 1000, 1..=1_000_000;
        /// Sessions of all users together.
        SOCKETS_MAX sockets_max: usize = 50_000, 1..=1_000_000;
        /// Connections in all, with a session or without. The limit of open files may allow fewer.
        CONNECTIONS_MAX connections_max: usize = 100_000, 1..=1_000_000;
        /// Connections of one IPv4 address, or of the /64 network of an IPv6 address.
        CONNECTIONS_PER_ADDRESS_MAX connections_per_address_max: usize = 20_000, 1..=1_000_000;
        /// Connections of strangers, for whom no token was verified.
        STRANGERS_MAX strangers_max: usize = 16_384, 1..=1_000_000;
        /// Connections of strangers from one address, as CONNECTIONS_PER_ADDRESS_MAX counts.
        STRANGERS_PER_ADDRESS_MAX strangers_per_address_max: usize = 4096, 1..=1_000_000;
        /// HTTP requests of strangers from one address, a second; four times as many at once. Beyond
        /// that they wait for up to a second, and then are refused. The first request of a
        /// connection does not count.
        STRANGER_REQUESTS_PER_SECOND stranger_requests_per_second: u32 = 500, 1..=1_000_000;
        /// What all strangers together may use of the processor, in milliseconds a second: 1000 is one
        /// core. Beyond that they wait, and then are refused.
        STRANGER_CPU_MS_PER_SECOND stranger_cpu_ms_per_second: u64 = 400, 10..=100 * SECOND;
        /// The largest message, and the largest body by polling, of a client that has no session.
        STRANGER_BYTES_MAX stranger_bytes_max: usize = 32 * KIB, KIB..=MIB;
        /// Attempts of one connection to begin a session: a minute in the long run, and as many at
        /// once.
        CONNECTS_PER_MINUTE connects_per_minute: u32 = 30, 1..=100_000;
        /// Tokens that are verified at once.
        VERIFICATIONS_MAX verifications_max: usize = 256, 1..=100_000;
        /// As VERIFICATIONS_MAX, for the clients of one address.
        VERIFICATIONS_PER_ADDRESS_MAX verifications_per_address_max: usize = 32, 1..=100_000;
        /// Frames of one WebSocket that carry nothing: a second in the long run. They are pings,
        /// pongs, fragments of a few bytes and empty messages.
        BARE_FRAMES_PER_SECOND bare_frames_per_second: u32 = 50, 1..=100_000;
        /// Frames of one WebSocket that carry nothing: at once.
        BARE_FRAMES_BURST bare_frames_burst: u32 = 1000, 1..=1_000_000;
        /// The largest size of the headers of an HTTP request, in bytes.
        HTTP_HEADER_BYTES_MAX http_header_bytes_max: usize = 32 * KIB, KIB..=MIB;
        /// The number of bytes queued for one socket above which it counts as lagging.
        SOCKET_QUEUE_BYTES_MAX socket_queue_bytes_max: usize = MIB, 16 * KIB..=256 * MIB;
        /// The largest size of the messages that wait in the queues of all sockets, in bytes. One that
        /// waits in several queues counts once.
        QUEUES_BYTES_MAX queues_bytes_max: usize = GIB, MIB..=1024 * GIB;
        /// The largest size in memory of all bodies of HTTP requests that are being read,
        /// in bytes. Each may be as large as a document.
        HTTP_BODIES_BYTES_MAX http_bodies_bytes_max: usize = 256 * MIB, 64 * KIB..=64 * GIB;
        /// The largest size of the commands that wait in the inbox of one document, in bytes.
        /// One update sent by HTTP may be larger.
        ROOM_INBOX_BYTES_MAX room_inbox_bytes_max: usize = 16 * MIB, 64 * KIB..=1024 * MIB;
        /// Pending updates of one document: those that wait for other updates on which they
        /// depend.
        PENDING_UPDATES_MAX pending_updates_max: usize = 1000, 1..=100_000;
        /// The largest size of the pending updates of one document, in bytes.
        PENDING_BYTES_MAX pending_bytes_max: usize = MIB, KIB..=64 * MIB;
        /// The next snapshot of a document is due when its log has this many rows since the
        /// newest one, or earlier by the size of these rows.
        SNAPSHOT_ROWS snapshot_rows: usize = 2000, 1..=1_000_000;
        /// How many days the rows of the log are kept that snapshots have made superfluous: who
        /// wrote what, and when. With 0 they are deleted after a snapshot.
        HISTORY_DAYS history_days: u32 = 30, 0..=36_500;
        /// Yjs client ids that one session may use in the awareness of one room.
        CLIENT_IDS_PER_SESSION client_ids_per_session: usize = 16, 1..=1024;
    }
}

settings! {
    /// Intervals and timeouts, in milliseconds.
    pub struct Timing {
        /// How long a document stays in memory after the last session left it.
        ROOM_IDLE_MS room_idle_ms: u64 = 30 * SECOND, 0..=DAY;
        /// The longest time from the beginning of one commit to that of the next. Where commits
        /// are fast it is less: four times the last one's duration, but at least COMMIT_INTERVAL_MIN_MS.
        COMMIT_INTERVAL_MS commit_interval_ms: u64 = 50, 0..=SECOND;
        /// The shortest time from the beginning of one commit to that of the next, unless it is above
        /// COMMIT_INTERVAL_MS. It limits the commits a second and may delay acks as long.
        COMMIT_INTERVAL_MIN_MS commit_interval_min_ms: u64 = 20, 0..=SECOND;
        /// How long updates are collected before they are relayed as one message.
        RELAY_TICK_MS relay_tick_ms: u64 = 2, 1..=SECOND;
        /// How long awareness updates are collected before they are relayed as one message.
        AWARENESS_TICK_MS awareness_tick_ms: u64 = 25, 1..=SECOND;
        /// The age at which an awareness state that is not renewed is removed.
        AWARENESS_TIMEOUT_MS awareness_timeout_ms: u64 = 30 * SECOND, 100..=10 * MINUTE;
        /// How long a socket may lag before its transport is closed.
        LAG_TIMEOUT_MS lag_timeout_ms: u64 = 10 * SECOND, 100..=10 * MINUTE;
        /// How long a stop waits for unwritten updates. The whole stop has to end within 15 s.
        DRAIN_TIMEOUT_MS drain_timeout_ms: u64 = 10 * SECOND, 0..=14 * SECOND;
        /// How long a new connection may take to send its token.
        CONNECT_TIMEOUT_MS connect_timeout_ms: u64 = 5 * SECOND, 100..=MINUTE;
        /// How long the headers of an HTTP request may take, and the first of a connection's
        /// requests to begin.
        HTTP_HEADER_TIMEOUT_MS http_header_timeout_ms: u64 = 10 * SECOND, 100..=10 * MINUTE;
        /// How long an HTTP connection may be idle between two requests.
        HTTP_IDLE_TIMEOUT_MS http_idle_timeout_ms: u64 = 75 * SECOND, 100..=HOUR;
        /// How long a client may take to read the next part of the answer to an HTTP request.
        HTTP_WRITE_TIMEOUT_MS http_write_timeout_ms: u64 = 30 * SECOND, 100..=10 * MINUTE;
        /// How long the body of an HTTP request may stall, and how far it may fall behind
        /// 16 KiB a second; behind 128 KiB a second where it is an update.
        HTTP_BODY_TIMEOUT_MS http_body_timeout_ms: u64 = 10 * SECOND, 100..=10 * MINUTE;
        /// How long a message may take to arrive, beside the time for its bytes at 16 KiB a second.
        MESSAGE_TIMEOUT_MS message_timeout_ms: u64 = 15 * SECOND, 100..=10 * MINUTE;
        /// How often the server pings a client.
        PING_INTERVAL_MS ping_interval_ms: u64 = 25 * SECOND, 100..=5 * MINUTE;
        /// How long the server waits for the answer to a ping.
        PING_TIMEOUT_MS ping_timeout_ms: u64 = 20 * SECOND, 100..=5 * MINUTE;
        /// How long before the expiry of its token a client is notified.
        TOKEN_NOTICE_MS token_notice_ms: u64 = MINUTE, 0..=HOUR;
        /// How long a session continues after its token expired.
        TOKEN_GRACE_MS token_grace_ms: u64 = 25 * SECOND, 0..=5 * MINUTE;
    }
}

impl Limits {
    /// Checks the limits that depend on one another: a limit of several updates or bodies
    /// is at least that of a single one.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        for (variable, bytes) in [
            ("DOCUMENT_BYTES_MAX", self.document_bytes_max),
            ("JOURNAL_BYTES_MAX", self.journal_bytes_max),
            ("ROOM_INBOX_BYTES_MAX", self.room_inbox_bytes_max),
        ] {
            if bytes < self.update_bytes_max {
                let expected = format!("at least UPDATE_BYTES_MAX ({})", self.update_bytes_max);
                return Err(ConfigError::shown(variable, expected, &bytes.to_string()));
            }
        }
        if self.http_bodies_bytes_max < self.document_bytes_max {
            let expected = format!("at least DOCUMENT_BYTES_MAX ({})", self.document_bytes_max);
            let got = self.http_bodies_bytes_max.to_string();
            return Err(ConfigError::shown("HTTP_BODIES_BYTES_MAX", expected, &got));
        }
        Ok(())
    }
}
