//! On what it was measured.

use std::{fmt, num::NonZero, path::Path, process::Command};

/// The versions, and the machine.
#[derive(Clone, Debug)]
pub struct Machine {
    server: String,
    rustc: String,
    kernel: String,
    processor: String,
    cores: usize,
    memory_gib: f64,
}

impl Machine {
    /// This machine, with the server `binary` of the project in `root`.
    pub fn here(binary: &Path, root: &Path) -> Self {
        let file = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let field = |text: &str, name: &str| {
            let line = text.lines().find(|line| line.starts_with(name));
            let value = line.and_then(|line| line.split_once(':'));
            value.map_or("unknown".to_owned(), |(_, value)| value.trim().to_owned())
        };
        let memory = field(&file("/proc/meminfo"), "MemTotal");
        let kib: f64 = memory
            .split(' ')
            .next()
            .and_then(|kib| kib.parse().ok())
            .unwrap_or(0.0);
        let version = output(Command::new(binary).arg("--version"));
        let commit = output(
            Command::new("git")
                .arg("-C")
                .arg(root)
                .args(["describe", "--always", "--dirty"]),
        );
        Self {
            server: format!("{version} (sources at {commit})"),
            rustc: output(Command::new("rustc").arg("--version")),
            kernel: file("/proc/sys/kernel/osrelease").trim().to_owned(),
            processor: field(&file("/proc/cpuinfo"), "model name"),
            cores: std::thread::available_parallelism().map_or(1, NonZero::get),
            memory_gib: kib / (1024.0 * 1024.0),
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}; floors: socketioxide {}, tokio-tungstenite {}; generator: yrs {}; {}. \
             Linux {}, {} cores of {}, {:.0} GiB.",
            self.server,
            locked("socketioxide"),
            locked("tokio-tungstenite"),
            locked("yrs"),
            self.rustc,
            self.kernel,
            self.cores,
            self.processor,
            self.memory_gib,
        )
    }
}

/// What a command prints; a word instead where it does not run.
fn output(command: &mut Command) -> String {
    let printed = command
        .output()
        .ok()
        .filter(|output| output.status.success());
    printed.map_or("unknown".to_owned(), |output| {
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    })
}

/// The version of a library that this tool was built with.
fn locked(name: &str) -> &'static str {
    let lock = include_str!("../../Cargo.lock");
    let entry = lock.split_once(&format!("name = \"{name}\"\nversion = \""));
    entry
        .and_then(|(_, rest)| rest.split('"').next())
        .unwrap_or("unknown")
}
