//! The signals of the process: those that stop it, and SIGHUP, at which it reads again what can change
//! while it runs.
//!
//! SIGTERM and SIGINT mean the same: stop in order. SIGHUP means the same only where the terminal of the
//! process was closed, because then nobody sees it any more. If the process was started with SIGHUP
//! ignored, as `nohup` does, SIGHUP stays ignored.

use std::{
    fs::{self, File},
    io, process,
    time::{Duration, Instant},
};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::{
    exit::Exit,
    supervise::{Supervisor, Task},
};

/// Signals within this time count as one: both a terminal that is closed and the shell in
/// it may send one, and several processes may forward the same Ctrl-C.
const ONE_SIGNAL: Duration = Duration::from_millis(500);

/// The bit of SIGHUP in the sets of `/proc`, which number signals from 1.
const SIGHUP_BIT: u64 = 1;

/// Resolves at the first signal to stop. A later one ends the process at once, also while the
/// server is stopping for another reason and this future is not awaited. Until then `reload` is called
/// at each SIGHUP; it must not take long.
///
/// # Errors
/// The signal handlers cannot be installed.
///
/// # Panics
/// Outside of a runtime.
pub fn stop<R: Fn() + Send + 'static>(
    supervisor: &Supervisor,
    reload: R,
) -> io::Result<impl Future<Output = ()> + Send + use<R>> {
    let mut signals = Signals::listen()?;
    let asked = CancellationToken::new();
    let stop = asked.clone().cancelled_owned();
    let caught = supervisor.clone();
    let guarded = move || {
        // A panic is logged, and the next signal is awaited.
        let _ = caught.guard(Task::Signals, &reload);
    };
    supervisor.spawn(Task::Signals, async move {
        let name = signals.next_stop(guarded).await;
        tracing::info!(
            signal = name,
            "stopping; a second signal ends the process at once"
        );
        asked.cancel();
        let since = Instant::now();
        while since.elapsed() < ONE_SIGNAL {
            signals.next_stop(|| {}).await;
        }
        tracing::error!("the process is ended by a second signal");
        process::exit(Exit::Failed.code().into());
    });
    Ok(stop)
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    /// None if SIGHUP is ignored.
    hangup: Option<Signal>,
    /// Whether the process was started in a terminal.
    had_terminal: bool,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        // Read before a handler is installed, which would end the ignoring.
        let hangup = match hangup_is_ignored() {
            true => None,
            false => Some(signal(SignalKind::hangup())?),
        };
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup,
            had_terminal: has_terminal(),
        })
    }

    /// Waits for the next signal to stop and returns its name. Calls `reload` at each other one.
    async fn next_stop(&mut self, reload: impl Fn()) -> &'static str {
        loop {
            let hangup = async {
                match &mut self.hangup {
                    Some(hangup) => hangup.recv().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                _ = self.terminate.recv() => return "SIGTERM",
                _ = self.interrupt.recv() => return "SIGINT",
                _ = hangup => {
                    if self.had_terminal && !has_terminal() {
                        return "SIGHUP";
                    }
                    reload();
                }
            }
        }
    }
}

/// Whether the process has a controlling terminal: not as a service, nor after its terminal was closed.
fn has_terminal() -> bool {
    File::open("/dev/tty").is_ok()
}

/// Whether this process was started with SIGHUP ignored; `false` if the system does not
/// provide this information.
fn hangup_is_ignored() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    ignores_hangup(&status)
}

/// Whether SIGHUP is in the set of ignored signals in the text of `/proc/…/status`.
fn ignores_hangup(status: &str) -> bool {
    let ignored = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|set| u64::from_str_radix(set.trim(), 16).ok());
    ignored.unwrap_or(0) & SIGHUP_BIT != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_signals_are_read_from_the_process_status() {
        let status =
            |set: &str| format!("Name:\tserver\nSigIgn:\t{set}\nSigCgt:\t0000000000000001");
        assert!(ignores_hangup(&status("0000000000001001")));
        assert!(!ignores_hangup(&status("0000000000001000")));
        assert!(!ignores_hangup(""), "no information");
    }
}
