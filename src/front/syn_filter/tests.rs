//! The kernel itself runs the program.

use std::{
    io::{self, Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    os::fd::{AsFd, OwnedFd},
    time::Duration,
};

use socket2::{Domain, Socket, Type};

use super::*;
use crate::limits::FLOODS_MAX;

/// Longer than an attempt takes on this machine, and shorter than until it is repeated.
const ATTEMPT: Duration = Duration::from_millis(500);

const fn v4(host: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(127, 0, 0, host))
}

const V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

/// Attempts to connect from `source` once.
fn connect(listener: &TcpListener, source: IpAddr) -> io::Result<TcpStream> {
    let port = listener.local_addr()?.port();
    let target = match source {
        IpAddr::V4(_) => SocketAddr::new(v4(1), port),
        IpAddr::V6(_) => SocketAddr::new(V6, port),
    };
    let socket = Socket::new(Domain::for_address(target), Type::STREAM, None)?;
    socket.bind(&SocketAddr::new(source, 0).into())?;
    socket.connect_timeout(&target.into(), ATTEMPT)?;
    Ok(socket.into())
}

fn filter(socket: &impl AsFd, floods: &[(IpAddr, f64)]) {
    let floods: Vec<_> = floods
        .iter()
        .map(|(address, passes)| Flood::new(Subnet::from(*address), *passes))
        .collect();
    let attached = SockRef::from(socket).attach_filter(&program(&floods));
    attached.expect("the kernel accepts the program");
}

#[test]
fn attempts_of_an_address_that_floods_are_dropped_and_those_of_others_pass() {
    // It receives IPv4 and IPv6.
    let listener = TcpListener::bind("[::]:0").expect("a listener");
    filter(&listener, &[(v4(4), 0.0), (v4(2), 0.0), (V6, 1.0)]);
    for (source, passes) in [(v4(2), false), (v4(3), true), (v4(4), false), (V6, true)] {
        let connected = connect(&listener, source);
        assert_eq!(connected.is_ok(), passes, "{source}: {connected:?}");
    }
    let network = IpAddr::V6(Ipv6Addr::new(0, 0, 0, 0, 5, 6, 7, 8));
    filter(&listener, &[(v4(2), 1.0), (network, 0.0)]);
    for (source, passes) in [(v4(2), true), (v4(3), true), (V6, false)] {
        let connected = connect(&listener, source);
        assert_eq!(connected.is_ok(), passes, "{source}: {connected:?}");
    }
    let other = IpAddr::V6(Ipv6Addr::new(0, 0, 0, 1, 0, 0, 0, 1));
    filter(&listener, &[(other, 0.0)]);
    connect(&listener, V6).expect("another network of the same beginning");
}

#[test]
fn a_part_of_the_attempts_passes_by_chance() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    filter(&listener, &[(v4(2), 0.5)]);
    let sockets: Vec<_> = (0..200)
        .map(|_| {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
            socket.set_nonblocking(true).expect("an option");
            let bound = socket.bind(&SocketAddr::new(v4(2), 0).into());
            bound.expect("an address of this machine");
            let _ = socket.connect(&listener.local_addr().expect("an address").into());
            socket
        })
        .collect();
    // The kernel carries out what concerns this machine alone before `connect` returns.
    let passed = sockets.iter().filter(|it| it.peer_addr().is_ok()).count();
    assert!((50..150).contains(&passed), "{passed} of 200");
}

#[test]
fn connections_of_an_address_that_floods_go_on() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let mut client = connect(&listener, v4(2)).expect("a connection");
    filter(&listener, &[(v4(2), 0.0)]);
    let (mut server, _) = listener.accept().expect("a connection");
    // As if it had been accepted while the filter was there.
    filter(&server, &[(v4(2), 0.0)]);
    let large = vec![7; 1 << 20];
    #[expect(clippy::disallowed_methods, reason = "a test owns its threads")]
    let sending = std::thread::spawn(move || {
        client.write_all(&large).expect("sent");
        let mut answer = String::new();
        client.read_to_string(&mut answer).expect("received");
        answer
    });
    let mut received = vec![0; 1 << 20];
    server.read_exact(&mut received).expect("received");
    server.write_all(b"thanks").expect("sent");
    drop(server);
    assert_eq!(sending.join().expect("no panic"), "thanks");
}

#[test]
fn the_longest_program_is_one_that_the_kernel_accepts() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let floods = (0..FLOODS_MAX as u16).map(|network| match network % 2 {
        0 => (v4(network as u8 + 2), 0.1),
        _ => (IpAddr::V6(Ipv6Addr::new(1, 2, 3, network, 0, 0, 0, 1)), 0.1),
    });
    filter(&listener, &floods.collect::<Vec<_>>());
    connect(&listener, v4(201)).expect("an address that does not flood");
}

#[test]
fn the_longest_program_replaces_another_one() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let (mut filter, metrics) = (SynFilter::new(), Metrics::new());
    let mut now = Instant::now();
    for _ in 0..3 {
        for network in (0..FLOODS_MAX as u16).cycle().take(FLOODS_MAX * 100) {
            let address = Ipv6Addr::new(1, 2, 3, network, 0, 0, 0, 1);
            filter.refuse(Subnet::from(IpAddr::V6(address)));
        }
        now += Duration::from_millis(100);
        filter.adapt_at(now, &listener, &metrics);
        assert!(filter.state == State::Attached);
    }
}

#[test]
fn a_flood_attaches_the_filter_and_its_end_detaches_it() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let (mut filter, metrics) = (SynFilter::new(), Metrics::new());
    let start = Instant::now();
    let mut now = start;
    let mut refuse = |filter: &mut SynFilter, count| {
        for _ in 0..count {
            filter.refuse(Subnet::from(v4(2)));
        }
        now += Duration::from_millis(100);
        filter.adapt_at(now, &listener, &metrics);
    };
    for few in [0, 1, 100] {
        refuse(&mut filter, few);
        assert!(filter.state == State::Detached);
    }
    refuse(&mut filter, 1000);
    assert!(filter.state == State::Attached);
    for _ in 0..100 {
        refuse(&mut filter, 0);
    }
    assert!(filter.state == State::Detached);
    let detached = SockRef::from(&listener).detach_filter();
    assert!(detached.is_err(), "there is none to be detached");
}

#[test]
fn where_the_system_refuses_nothing_is_dropped_nor_tried_again() {
    // The kernel attaches no program to a socket whose filter is locked; nothing here can lock one, so the program is
    // attached to what is no socket.
    let file = tempfile::tempfile().expect("a file");
    let listener = TcpListener::from(OwnedFd::from(file));
    let (mut filter, metrics) = (SynFilter::new(), Metrics::new());
    let now = Instant::now();
    for _ in 0..1000 {
        filter.refuse(Subnet::from(v4(2)));
    }
    filter.adapt_at(now + Duration::from_secs(1), &listener, &metrics);
    assert!(filter.state == State::Unavailable);
    filter.refuse(Subnet::from(v4(2)));
    filter.adapt_at(now + Duration::from_secs(2), &listener, &metrics);
    assert!(filter.state == State::Unavailable);
}
