//! Temporary Postgres servers from the Debian packages, for one run of the tests.
//!
//! A server has a temporary folder and listens on a free port and on a socket in that folder. A
//! child process waits for the end of the tests, also where they are killed, then stops the server
//! and removes the folder. No other server is used, unless `TEST_POSTGRES_URL` names one.

#![expect(clippy::unwrap_used, reason = "a test that fails here says enough")]

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
};

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

/// A running server; stopped and removed when dropped.
pub struct Postgres {
    folder: PathBuf,
    port: u16,
    cleaner: Child,
}

/// The address of a new, empty database on the server that the tests share.
pub async fn new_database() -> String {
    static SHARED: OnceLock<Postgres> = OnceLock::new();
    #[expect(
        clippy::disallowed_methods,
        reason = "a test's setting, not the server's"
    )]
    let given = std::env::var("TEST_POSTGRES_URL");
    let server = match given {
        Ok(url) => url,
        // It is started on a separate thread, so that other tests continue meanwhile.
        Err(_) => tokio::task::spawn_blocking(|| SHARED.get_or_init(Postgres::start).url())
            .await
            .unwrap(),
    };
    let name = format!("test_{}", uuid::Uuid::new_v4().simple());
    let mut connection = PgConnection::connect(&server).await.unwrap();
    let create = AssertSqlSafe(format!("create database {name}"));
    connection.execute(create).await.unwrap();
    connection.close().await.unwrap();
    let (base, query) = match server.split_once('?') {
        Some((base, query)) => (base, format!("?{query}")),
        None => (server.as_str(), String::new()),
    };
    let scheme = base.find("://").unwrap() + 3;
    let end = base[scheme..]
        .find('/')
        .map_or(base.len(), |slash| scheme + slash);
    format!("{}/{name}{query}", &base[..end])
}

impl Postgres {
    /// Creates and starts a server. Blocks for some seconds.
    pub fn start() -> Self {
        let folder =
            std::env::temp_dir().join(format!("realtime-{}", uuid::Uuid::new_v4().simple()));
        fs::create_dir(&folder).unwrap();
        if is_root() {
            run(Command::new("chown").arg(owner()).arg(&folder));
        }
        let data = folder.join("data");
        run(as_owner("initdb")
            .args(["--auth=trust", "--username=postgres", "--encoding=UTF8"])
            .args(["--locale=C.UTF-8", "--no-sync", "--pgdata"])
            .arg(&data));
        let port = free_port();
        let settings = format!(
            "port = {port}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = '{}'\n\
             fsync = on\nmax_connections = 200\n",
            folder.display()
        );
        let mut configuration = fs::read_to_string(data.join("postgresql.conf")).unwrap();
        configuration.push_str(&settings);
        fs::write(data.join("postgresql.conf"), configuration).unwrap();
        let cleaner = cleaner(&folder);
        let server = Self {
            folder,
            port,
            cleaner,
        };
        server.start_again();
        server
    }

    /// The address of its database `postgres`.
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// Stops the server as in a crash: transactions are not finished, connections break.
    pub fn crash(&self) {
        run(self.control("stop").args(["-m", "immediate"]));
    }

    /// Starts the server after a crash.
    pub fn start_again(&self) {
        let log = self.folder.join("log");
        run(self.control("start").arg("-l").arg(log));
    }

    /// Suspends all processes of the server: connections stay open, and nothing answers.
    pub fn freeze(&self) {
        self.signal("STOP");
    }

    /// Resumes a suspended server.
    pub fn thaw(&self) {
        self.signal("CONT");
    }

    fn control(&self, action: &str) -> Command {
        let mut command = as_owner("pg_ctl");
        command
            .args([action, "-w", "-D"])
            .arg(self.folder.join("data"));
        command
    }

    fn signal(&self, signal: &str) {
        let pid = fs::read_to_string(self.folder.join("data/postmaster.pid")).unwrap();
        let postmaster = pid.lines().next().unwrap();
        let children = Command::new("ps")
            .args(["-o", "pid=", "--ppid", postmaster])
            .output();
        let children = String::from_utf8(children.unwrap().stdout).unwrap();
        let pids = children.split_whitespace().chain([postmaster]);
        run(Command::new("kill").arg(format!("-{signal}")).args(pids));
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.cleaner.stdin.take();
        let _ = self.cleaner.wait();
    }
}

/// A process that stops the server and removes the folder when its input ends.
fn cleaner(folder: &Path) -> Child {
    let script = "cat > /dev/null; pid=$(head -n 1 \"$1/data/postmaster.pid\" 2> /dev/null); \
                  [ -n \"$pid\" ] && kill -CONT \"$pid\" && kill -QUIT \"$pid\" && \
                  while kill -0 \"$pid\" 2> /dev/null; do sleep 0.05; done; rm -rf \"$1\"";
    Command::new("sh")
        .args(["-c", script, "sh"])
        .arg(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// A program of Postgres, run as another user than root, which it refuses.
fn as_owner(program: &str) -> Command {
    let program = binaries().join(program);
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("runuser");
    command.args(["-u", owner(), "--"]).arg(program);
    command
}

/// The folder with the programs of the newest installed version.
fn binaries() -> PathBuf {
    let versions =
        fs::read_dir("/usr/lib/postgresql").expect("the postgresql package is installed");
    let number = |path: &PathBuf| path.file_name()?.to_str()?.parse::<u32>().ok();
    versions
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("bin/initdb").exists())
        .max_by_key(number)
        .expect("the postgresql package is installed")
        .join("bin")
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().unwrap().stdout == b"0\n"
}

fn owner() -> &'static str {
    static OWNER: OnceLock<&str> = OnceLock::new();
    OWNER.get_or_init(|| {
        let known = Command::new("id")
            .arg("postgres")
            .output()
            .unwrap()
            .status
            .success();
        if known { "postgres" } else { "nobody" }
    })
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

fn run(command: &mut Command) {
    // The output is discarded: a server that inherits a pipe keeps it open.
    let status = command
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success(), "{command:?} failed: {status}");
}
