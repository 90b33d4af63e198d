//! The process that is measured: started for a scenario, observed, ended.

use std::{
    fs::File,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use nix::{
    sys::signal::{Signal, kill},
    time::{ClockId, clock_getcpuclockid},
    unistd::Pid,
};
use tempfile::TempDir;

use crate::token;

/// How long the process may take to start, and to end.
const PROCESS_TIMEOUT: Duration = Duration::from_secs(30);

/// A running server or relay.
pub struct Process {
    child: Child,
    pid: Pid,
    port: u16,
    database: String,
    folder: TempDir,
}

impl Process {
    /// Starts the server `binary` with a new database, or with `database`, and with limits of
    /// frequency and number that the load does not reach.
    pub fn server(binary: &Path, database: Option<&str>) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let port = free_port()?;
        let file = format!("sqlite://{}", folder.path().join("bench.db").display());
        let database = database.map_or(file, str::to_owned);
        let mut command = Command::new(binary);
        command.env_clear().envs([
            ("REALTIME_SERVER_PORT", port.to_string().as_str()),
            ("DATABASE_URL", database.as_str()),
            ("JWT_SECRET", token::SECRET),
            ("REALTIME_DEV_DOORS", "false"),
            ("RUST_LOG", "warn"),
            ("TOKIO_WORKER_THREADS", "2"),
            ("REQUESTS_PER_SECOND", "100000"),
            ("UPDATES_PER_SECOND", "100000"),
            ("UPDATES_BURST", "1000000"),
            ("SOCKETS_PER_USER", "10000"),
        ]);
        Self::start(command, folder, port, database, serves)
    }

    /// Starts this same binary as the relay `name`.
    pub fn floor(name: &str) -> Result<Self> {
        let port = free_port()?;
        let mut command = Command::new(std::env::current_exe()?);
        command.args([name, "--port", &port.to_string()]);
        let folder = tempfile::tempdir()?;
        Self::start(command, folder, port, String::new(), listens)
    }

    /// Starts another server of stock clients, of those in the folder `peers`, with its defaults: nothing is stored. npm installs
    /// them when they are first asked for.
    pub fn peer(name: &str) -> Result<Self> {
        let peers = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers");
        if !peers.join("node_modules").exists() {
            let installed = Command::new("npm").arg("ci").current_dir(&peers).status();
            ensure!(installed.context("npm")?.success(), "npm ci failed");
        }
        let port = free_port()?;
        let mut command = Command::new("node");
        command.arg(peers.join(format!("{name}.mjs")));
        command.envs([("HOST", "127.0.0.1"), ("PORT", &port.to_string())]);
        let folder = tempfile::tempdir()?;
        Self::start(command, folder, port, String::new(), listens)
    }

    fn start(
        mut command: Command,
        folder: TempDir,
        port: u16,
        database: String,
        ready: impl Fn(u16) -> bool,
    ) -> Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        let output = File::create(log(&folder))?;
        let child = command
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .with_context(|| format!("{name} cannot be started"))?;
        let pid = Pid::from_raw(i32::try_from(child.id())?);
        let mut process = Self {
            child,
            pid,
            port,
            database,
            folder,
        };
        let began = Instant::now();
        while !ready(port) {
            if let Some(status) = process.child.try_wait()? {
                bail!("{name} ended with {status}: {}", process.words());
            }
            ensure!(
                began.elapsed() < PROCESS_TIMEOUT,
                "{name} is not ready: {}",
                process.words()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(process)
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The address of the server's database; empty for a relay.
    pub fn database(&self) -> &str {
        &self.database
    }

    /// The user and system time of all its threads since the start.
    pub fn cpu(&self) -> Result<Duration> {
        let clock = clock_getcpuclockid(self.pid).context("the process has ended")?;
        Ok(clock.now()?.into())
    }

    /// Memory in MiB: resident now, and the peak.
    pub fn memory(&self) -> Result<Memory> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid))?;
        let field = |name: &str| -> Result<f64> {
            let line = status.lines().find(|line| line.starts_with(name));
            let value = line.and_then(|line| line.split_whitespace().nth(1));
            let kib: f64 = value.with_context(|| format!("no {name}"))?.parse()?;
            Ok(kib / 1024.0)
        };
        Ok(Memory {
            resident: field("VmRSS:")?,
            peak: field("VmHWM:")?,
        })
    }

    /// The end of its log, which has warnings and errors.
    pub fn words(&self) -> String {
        let all = std::fs::read_to_string(log(&self.folder)).unwrap_or_default();
        let lines: Vec<&str> = all.lines().collect();
        lines[lines.len().saturating_sub(8)..].join("\n")
    }

    /// Asks it to end, and waits for that.
    pub fn stop(mut self) -> Result<ExitStatus> {
        kill(self.pid, Signal::SIGTERM)?;
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            ensure!(
                began.elapsed() < PROCESS_TIMEOUT,
                "the process does not end: {}",
                self.words()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It has ended already, unless something failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Memory of a process, in MiB.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// Resident now.
    pub resident: f64,
    /// The peak.
    pub peak: f64,
}

/// The CPU time of this thread, which is the whole generator.
pub fn own_cpu() -> Result<Duration> {
    Ok(ClockId::CLOCK_THREAD_CPUTIME_ID.now()?.into())
}

fn log(folder: &TempDir) -> PathBuf {
    folder.path().join("output.log")
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn connect(port: u16) -> std::io::Result<TcpStream> {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    TcpStream::connect_timeout(&address, Duration::from_secs(1))
}

fn listens(port: u16) -> bool {
    connect(port).is_ok()
}

/// Whether the process reports that it is ready.
fn serves(port: u16) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut tcp = connect(port)?;
        tcp.set_read_timeout(Some(Duration::from_secs(1)))?;
        tcp.write_all(
            b"GET /health/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        )?;
        let mut answer = [0; 12];
        tcp.read_exact(&mut answer)?;
        Ok(answer.ends_with(b" 200"))
    };
    ask().unwrap_or(false)
}
