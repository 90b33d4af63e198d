//! The stage of a connection: open, upgrading, closing or closed, and who may act in it.
//!
//! A pure state machine, which the connection keeps under a lock. A connection that began with
//! polling is touched by several tasks: one for each GET and POST, one that observes deadlines, and
//! one for a WebSocket that wants to take over. The rules here decide which of them may hand
//! packets to the door, which one reports the end, and when the WebSocket takes over.

/// The transport of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Carrier {
    /// HTTP requests.
    Polling,
    /// A WebSocket.
    Websocket,
}

/// The stage of one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Stage {
    state: State,
    /// A GET is waiting for messages.
    get_open: bool,
    /// A POST is being read.
    post_open: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum State {
    /// Packets go over the carrier.
    Open(Carrier),
    /// By polling; a WebSocket was opened to take over and has sent nothing yet.
    Probing,
    /// By polling; the WebSocket sent its probe, so that polls end.
    Upgrading,
    /// No packet is handed to the door any more; queued messages are still written.
    Closing(Carrier),
    /// The end was reported to the door.
    Closed(Carrier),
}

/// The two requests that a connection by polling may have open at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Request {
    Get,
    Post,
}

/// The answer to a WebSocket that wants to take over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Takeover {
    /// It has taken over.
    Complete,
    /// A POST is being read, whose packets come first.
    AfterPost,
    /// The connection is ending, or the WebSocket sent no probe.
    Refused,
}

impl Stage {
    /// The stage of a connection that opens over `carrier`.
    pub(super) fn new(carrier: Carrier) -> Self {
        Self {
            state: State::Open(carrier),
            get_open: false,
            post_open: false,
        }
    }

    /// The transport over which packets go.
    pub(super) fn carrier(&self) -> Carrier {
        match self.state {
            State::Open(carrier) | State::Closing(carrier) | State::Closed(carrier) => carrier,
            State::Probing | State::Upgrading => Carrier::Polling,
        }
    }

    /// Whether a packet that arrived over `carrier` is handed to the door.
    pub(super) fn takes_from(&self, carrier: Carrier) -> bool {
        let ends = matches!(self.state, State::Closing(_) | State::Closed(_));
        !ends && self.carrier() == carrier
    }

    /// Begins a request; `false` while another one of its kind is open.
    pub(super) fn begin(&mut self, request: Request) -> bool {
        !std::mem::replace(self.open(request), true)
    }

    /// Ends a request that was begun.
    pub(super) fn end(&mut self, request: Request) {
        *self.open(request) = false;
    }

    fn open(&mut self, request: Request) -> &mut bool {
        match request {
            Request::Get => &mut self.get_open,
            Request::Post => &mut self.post_open,
        }
    }

    /// Whether a POST is being read.
    pub(super) fn is_posting(&self) -> bool {
        self.post_open
    }

    /// Whether a WebSocket sent its probe and has not taken over yet.
    pub(super) fn is_upgrading(&self) -> bool {
        self.state == State::Upgrading
    }

    /// Whether a poll has to end without messages, because of an upgrade. A poll that
    /// `began_upgrading` ends only when the upgrade is complete.
    pub(super) fn ends_poll(&self, began_upgrading: bool) -> bool {
        self.carrier() == Carrier::Websocket || (self.is_upgrading() && !began_upgrading)
    }

    /// Reserves the upgrade for one WebSocket; `false` while another one has it, after the
    /// upgrade, and when the connection ends.
    pub(super) fn begin_probe(&mut self) -> bool {
        let open = self.state == State::Open(Carrier::Polling);
        if open {
            self.state = State::Probing;
        }
        open
    }

    /// The WebSocket sent its probe.
    pub(super) fn begin_upgrade(&mut self) {
        if self.state == State::Probing {
            self.state = State::Upgrading;
        }
    }

    /// The WebSocket is to take over.
    pub(super) fn take_over(&mut self) -> Takeover {
        match (self.state, self.post_open) {
            (State::Upgrading, false) => {
                self.state = State::Open(Carrier::Websocket);
                Takeover::Complete
            }
            (State::Upgrading, true) => Takeover::AfterPost,
            _ => Takeover::Refused,
        }
    }

    /// The WebSocket that probed has gone. Without effect once it has taken over.
    pub(super) fn end_probe(&mut self) {
        if matches!(self.state, State::Probing | State::Upgrading) {
            self.state = State::Open(Carrier::Polling);
        }
    }

    /// The connection begins to end: a WebSocket that has not taken over will not.
    pub(super) fn begin_closing(&mut self) {
        if !matches!(self.state, State::Closed(_)) {
            self.state = State::Closing(self.carrier());
        }
    }

    /// The task that serves `carrier` finds that the connection has ended. Returns whether it has to
    /// report that: once, and never while another carrier has the connection.
    pub(super) fn close(&mut self, carrier: Carrier) -> bool {
        let closes = self.carrier() == carrier && !matches!(self.state, State::Closed(_));
        if closes {
            self.state = State::Closed(carrier);
        }
        closes
    }
}

#[cfg(test)]
mod tests;
