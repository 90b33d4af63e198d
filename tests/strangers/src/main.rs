//! Strangers who attack a server on this machine until this process is killed:
//! `strangers 127.0.0.1:3001 ATTACK FORGEABLE REVOKED FOREIGN`. The last three are tokens: one whose signature they replace, one that was
//! revoked, and one of another team. `strangers` alone lists the attacks; `all` is all of them at once.
//!
//! Four times a second it prints how many connections it has opened and how many bytes it has sent.
//!
//! It is a program of its own, in Rust, because a client in Node takes three times as much of the processor to open a
//! connection as the server takes to refuse it: such a client floods nobody.

#![expect(clippy::disallowed_methods, reason = "its threads end with it")]

mod attacks;
mod sockets;
mod wire;

use std::{env, net::SocketAddr, process::ExitCode, sync::Arc, thread, time::Duration};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::{
    attacks::ATTACKS,
    sockets::{BYTES, CONNECTIONS},
};

/// Whom the strangers attack, and with what.
pub struct Target {
    /// The address of the server.
    pub address: SocketAddr,
    /// A token whose signature is replaced.
    pub forgeable: String,
    /// A token that was revoked.
    pub revoked: String,
    /// A valid token of another team.
    pub foreign: String,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [address, attack, forgeable, revoked, foreign] = arguments.as_slice() else {
        for (name, title, _) in ATTACKS {
            println!("{name}\t{title}");
        }
        return ExitCode::SUCCESS;
    };
    let chosen = ATTACKS
        .iter()
        .filter(|(name, ..)| attack == "all" || attack == name);
    let (Ok(address), true) = (address.parse(), chosen.clone().count() > 0) else {
        eprintln!("{address} is no address, or there is no attack {attack}");
        return ExitCode::from(2);
    };
    raise_descriptors();
    let target = Arc::new(Target {
        address,
        forgeable: forgeable.clone(),
        revoked: revoked.clone(),
        foreign: foreign.clone(),
    });
    for (_, _, begin) in chosen {
        begin(&target);
    }
    loop {
        thread::sleep(Duration::from_millis(250));
        println!("{} {}", CONNECTIONS.get(), BYTES.get());
    }
}

/// Allows this process as many open files as the system does.
fn raise_descriptors() {
    let maximum = getrlimit(Resource::Nofile).maximum;
    let raised = Rlimit {
        current: maximum,
        maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        eprintln!("the limit of open files cannot be raised: {error}");
    }
}
