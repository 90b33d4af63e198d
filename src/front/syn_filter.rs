//! Has the kernel drop attempts to connect of addresses that flood.
//!
//! A program for the kernel's packet filter (classic BPF) is attached to the listening socket. The kernel runs it for each packet that the
//! socket receives, that is, for the SYN with which a client begins to connect, before it has done anything else for it. A program
//! is attached only while an address floods. Accepted connections inherit it; they are released from it, and what they
//! receive before passes by the first instructions.

use std::net::{TcpListener, TcpStream};

use ipnet::IpNet;
use socket2::{SockFilter, SockRef};
use tokio::time::Instant;
use tracing::warn;

use crate::{
    limits::{Flood, Floods, Sampler, Subnet},
    metrics::Metrics,
};

/// What is dropped of the attempts to connect to one listening socket.
pub(super) struct SynFilter {
    floods: Floods,
    state: State,
    lines: Sampler,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Detached,
    Attached,
    /// The system does not allow it: nothing is dropped.
    Unavailable,
}

impl SynFilter {
    pub(super) fn new() -> Self {
        Self {
            floods: Floods::new(Instant::now()),
            state: State::Detached,
            lines: Sampler::new(),
        }
    }

    /// Notes that a connection from `subnet` was refused because strangers have used their share of the processor.
    pub(super) fn refuse(&mut self, subnet: Subnet) {
        if self.state != State::Unavailable {
            self.floods.refuse(subnet);
        }
    }

    /// Adapts what is dropped to what was refused; to be called often, since it looks at that ten times a second at most.
    pub(super) fn adapt(&mut self, listener: &TcpListener, metrics: &Metrics) {
        self.adapt_at(Instant::now(), listener, metrics);
    }

    fn adapt_at(&mut self, now: Instant, listener: &TcpListener, metrics: &Metrics) {
        let Some(new) = self.floods.look(now) else {
            return;
        };
        let floods = self.floods.found();
        let socket = SockRef::from(listener);
        // The kernel allows little memory for programs, in some versions not enough for the old one and the new one together.
        let detached = match self.state {
            State::Attached => socket.detach_filter(),
            State::Detached | State::Unavailable => Ok(()),
        };
        let adapted = match floods.is_empty() {
            true => detached,
            false => detached.and_then(|()| socket.attach_filter(&program(floods))),
        };
        self.state = match adapted {
            Ok(()) if floods.is_empty() => State::Detached,
            Ok(()) => State::Attached,
            Err(error) => {
                warn!(%error, "the system does not let attempts to connect be dropped; those of addresses that flood cost more");
                self.floods = Floods::new(now);
                return self.state = State::Unavailable;
            }
        };
        for subnet in new {
            metrics.limit_applied("flooding_addresses");
            if let Some(suppressed) = self.lines.admit() {
                let address = IpNet::from(subnet);
                warn!(%address, suppressed, "an address floods: most of its attempts to connect are dropped; see docs/operations.md, Connections");
            }
        }
    }

    /// Releases a connection that was accepted, and goes on, from the filter that it has inherited.
    pub(super) fn release(&self, tcp: &TcpStream) {
        if self.state == State::Attached {
            // Where that fails, each of its packets passes the filter after three instructions.
            let _ = SockRef::from(tcp).detach_filter();
        }
    }
}

/// The result of the program: so many bytes of the packet are received.
const ALL: u32 = u32::MAX;
const NOTHING: u32 = 0;

/// Offsets beyond this one are those in the IP header; others are those in the TCP header.
const IP_HEADER: u32 = (-0x10_0000_i32).cast_unsigned();
const IPV4_SOURCE: u32 = IP_HEADER + 12;
const IPV6_SOURCE: u32 = IP_HEADER + 8;
/// At this offset the kernel has a random number.
const RANDOM: u32 = (-0x1000_i32).cast_unsigned() + 56;
const TCP_FLAGS: u32 = 13;
const SYN: u32 = 0x02;
const ACK: u32 = 0x10;

/// The program that drops what does not pass of each of `floods`, and nothing else.
fn program(floods: &[Flood]) -> Vec<SockFilter> {
    let (mut v4, mut v6) = (vec![load(IPV4_SOURCE)], Vec::new());
    for flood in floods {
        let drawn = [
            load(RANDOM),
            skip_if_at_least(threshold(flood.passes), 1),
            result(ALL),
            result(NOTHING),
        ];
        match flood.subnet {
            Subnet::V4(address) => {
                v4.push(skip_unless(u32::from_be_bytes(address), 4));
                v4.extend(drawn);
            }
            Subnet::V6([a, b, c, d, e, f, g, h]) => {
                v6.push(load(IPV6_SOURCE));
                v6.push(skip_unless(u32::from_be_bytes([a, b, c, d]), 6));
                v6.push(load(IPV6_SOURCE + 4));
                v6.push(skip_unless(u32::from_be_bytes([e, f, g, h]), 4));
                v6.extend(drawn);
            }
        }
    }
    v4.push(result(ALL));
    v6.push(result(ALL));
    let length = u32::try_from(v4.len()).expect("few addresses flood");
    let mut program = vec![
        load_byte(TCP_FLAGS),
        and(SYN | ACK),
        skip_if(SYN, 1),
        result(ALL),
        // The version of IP.
        load_byte(IP_HEADER),
        shift_right(4),
        skip_if(4, 1),
        skip(length),
    ];
    program.extend(v4);
    program.extend(v6);
    program
}

/// A random number of 32 bits is below this one with the probability `passes`.
fn threshold(passes: f64) -> u32 {
    // The conversion saturates.
    (passes * f64::from(u32::MAX)) as u32
}

// Instructions of classic BPF, as Linux's documentation of "socket filtering" has them. They work on one register, in network
// order, and skip so many instructions.

const fn load(offset: u32) -> SockFilter {
    SockFilter::new(0x20, 0, 0, offset)
}

const fn load_byte(offset: u32) -> SockFilter {
    SockFilter::new(0x30, 0, 0, offset)
}

const fn and(bits: u32) -> SockFilter {
    SockFilter::new(0x54, 0, 0, bits)
}

const fn shift_right(bits: u32) -> SockFilter {
    SockFilter::new(0x74, 0, 0, bits)
}

const fn skip(count: u32) -> SockFilter {
    SockFilter::new(0x05, 0, 0, count)
}

const fn skip_if(value: u32, count: u8) -> SockFilter {
    SockFilter::new(0x15, count, 0, value)
}

const fn skip_unless(value: u32, count: u8) -> SockFilter {
    SockFilter::new(0x15, 0, count, value)
}

const fn skip_if_at_least(value: u32, count: u8) -> SockFilter {
    SockFilter::new(0x35, count, 0, value)
}

const fn result(bytes: u32) -> SockFilter {
    SockFilter::new(0x06, 0, 0, bytes)
}

#[cfg(test)]
mod tests;
