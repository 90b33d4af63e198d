//! The whole server: builds each part once, serves, and stops the parts in reverse order.

mod drain;
mod router;

use std::{
    future::Future,
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use tokio::{net::TcpListener, sync::Notify, task::JoinHandle, time::Instant};
use tracing::{error, info, warn};

use crate::{
    activity::Activities,
    auth::Verifier,
    bus::EventBus,
    catalog::Catalog,
    comments::Comments,
    config::{Config, DevDoors},
    error::Result,
    exit::Exit,
    front::{self, Front, Handshake, Plain, Tls},
    limits::{Memory, Places, Queues, Share, Verifications},
    metrics::Metrics,
    notifications::Notifications,
    operations::Operations,
    presence::Presence,
    revocations::Revocations,
    room::Rooms,
    session::Sessions,
    socket::{self, Sockets},
    store::{JournalOptions, Store, Unwritten},
    supervise::{Supervisor, Task},
    webhooks::Webhooks,
    websocket::{self, WebSockets},
    workflow::Workflow,
};

/// Every part of the server.
pub struct App {
    config: Config,
    metrics: Metrics,
    supervisor: Supervisor,
    verifier: Verifier,
    store: Store,
    sessions: Sessions,
    /// Keeps the delivery of events running.
    _bus: EventBus,
    catalog: Catalog,
    operations: Operations,
    presence: Presence,
    rooms: Rooms,
    sockets: Sockets,
    websockets: WebSockets,
    places: Places,
    verifications: Verifications,
    share: Share,
    tls: Option<Tls>,
    certificate_reload: Arc<Notify>,
    started: Instant,
}

/// The result of serving.
#[derive(Debug)]
pub struct Stopped {
    /// The accepted updates that could not be written.
    pub unwritten: Unwritten,
    /// The task whose death stopped the server; `None` if the server was asked to stop.
    pub lost: Option<Task>,
}

impl Stopped {
    /// The exit code of the process.
    pub fn exit(&self) -> Exit {
        match self.lost {
            Some(_) => Exit::TaskDied,
            None if self.unwritten.is_empty() => Exit::Done,
            None => Exit::Failed,
        }
    }

    fn report(&self) {
        let unwritten = &self.unwritten;
        if unwritten.is_empty() {
            info!("stopped; all accepted updates are written");
        } else {
            error!(%unwritten, "stopped; some accepted updates are not written");
        }
    }
}

impl App {
    /// Opens the database, reads the keys, and puts the parts together.
    ///
    /// # Errors
    /// If the database or the keys cannot be used; the cause is logged.
    pub async fn build(config: Config, metrics: Metrics) -> Result<Self> {
        let started = Instant::now();
        let version = env!("CARGO_PKG_VERSION");
        info!(version, environment = ?config.environment, "starting");
        let supervisor = Supervisor::new(metrics.clone());
        let verifier = Verifier::new(&config.auth, &supervisor).await?;
        let tls = match &config.tls {
            Some(files) => Some(Tls::open(files).await?),
            None => None,
        };
        let journal = JournalOptions {
            bytes_max: config.limits.journal_bytes_max,
            commit_interval: Duration::from_millis(config.timing.commit_interval_min_ms)
                ..=Duration::from_millis(config.timing.commit_interval_ms),
            history: Duration::from_secs(u64::from(config.limits.history_days) * 24 * 60 * 60),
        };
        let url = &config.database_url;
        let store = Store::open(url, journal, metrics.clone(), &supervisor).await?;
        let revocations = Revocations::new(
            store.clone(),
            verifier.revocations().clone(),
            config.auth.lifetime_max_ms,
            metrics.clone(),
        );
        // Before a client can connect.
        revocations.catch_up().await?;
        let memory = Memory::new(config.limits.memory_bytes_max, metrics.clone());
        let sessions = Sessions::new(config.limits, config.timing, supervisor.clone());
        let bus = EventBus::new(sessions.clone(), supervisor.clone());
        let activities = Activities::new(store.clone());
        let notifications = Notifications::new(store.clone(), sessions.clone());
        let webhook = config.webhook.as_ref();
        let webhooks = Webhooks::start(store.clone(), webhook, &metrics, &supervisor)?;
        let catalog = Catalog::new(
            store.clone(),
            bus.announcer(),
            activities.clone(),
            webhooks.clone(),
            config.document_creation,
            &config.workflow.initial,
        );
        let workflow = Workflow::new(
            store.clone(),
            notifications.clone(),
            webhooks.clone(),
            config.workflow.clone(),
        );
        let rooms = Rooms::new(
            store.clone(),
            catalog.clone(),
            config.limits,
            config.timing,
            memory,
            metrics.clone(),
            supervisor.clone(),
        );
        let presence = Presence::new(
            sessions.clone(),
            bus.announcer(),
            metrics.clone(),
            supervisor.clone(),
        );
        let comments = Comments::new(
            store.clone(),
            notifications.clone(),
            webhooks.clone(),
            rooms.clone(),
        );
        let operations = Operations {
            activities,
            notifications,
            revocations,
            webhooks,
            comments,
            workflow,
        };
        let connections_max = front::descriptors::connections_max(config.limits.connections_max);
        let places = Places::new(&config.limits, connections_max, metrics.clone());
        let verifications = Verifications::new(&config.limits);
        let share = Share::new(config.limits.stranger_cpu_ms_per_second, metrics.clone());
        let queues = Queues::new(config.limits.queues_bytes_max, metrics.clone());
        let sockets = Sockets::new(socket::Parts {
            verifier: verifier.clone(),
            sessions: sessions.clone(),
            presence: presence.clone(),
            store: store.clone(),
            rooms: rooms.clone(),
            operations: operations.clone(),
            limits: config.limits,
            timing: config.timing,
            places: places.clone(),
            verifications: verifications.clone(),
            queues: queues.clone(),
            share: share.clone(),
            metrics: metrics.clone(),
            supervisor: supervisor.clone(),
            instance: config.instance.clone(),
        });
        let websockets = WebSockets::new(websocket::Parts {
            verifier: verifier.clone(),
            sessions: sessions.clone(),
            presence: presence.clone(),
            rooms: rooms.clone(),
            limits: config.limits,
            timing: config.timing,
            verifications: verifications.clone(),
            queues,
            share: share.clone(),
            metrics: metrics.clone(),
            supervisor: supervisor.clone(),
        });
        // The sockets subscribe first, so that clients learn why a room closes before it does.
        bus.subscribe(Arc::new(sockets.clone()));
        bus.subscribe(Arc::new(rooms.clone()));
        bus.attach(&store)?;
        Ok(Self {
            config,
            metrics,
            supervisor,
            verifier,
            store,
            sessions,
            _bus: bus,
            catalog,
            operations,
            presence,
            rooms,
            sockets,
            websockets,
            places,
            verifications,
            share,
            tls,
            certificate_reload: Arc::default(),
            started,
        })
    }

    /// The owner of this server's tasks.
    pub fn supervisor(&self) -> &Supervisor {
        &self.supervisor
    }

    /// The database. Events that its transactions publish are sent to the clients of this server.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Listens on the configured address, and logs it.
    ///
    /// # Errors
    /// If the server cannot listen on the address, which the error names.
    pub async fn listen(&self) -> io::Result<TcpListener> {
        let address = SocketAddr::from((self.config.host, self.config.port));
        let named = |error: io::Error| {
            io::Error::new(error.kind(), format!("cannot listen on {address}: {error}"))
        };
        let listener = front::listen(address).map_err(named)?;
        let address = listener.local_addr()?;
        info!(%address, "listening");
        if self.config.dev_doors == DevDoors::Open {
            info!("open {} in a browser", self.page_url(address));
            warn!("development doors are open: /dev/token gives anyone a token");
        }
        Ok(listener)
    }

    /// Serves on `listener` until `stop` resolves, or until a task dies that the server
    /// depends on. Then it drains: it refuses new work, writes and acknowledges all
    /// accepted updates, and closes the transports so that clients reconnect elsewhere by
    /// themselves.
    ///
    /// # Errors
    /// None at present: the failure of a connection ends that connection only.
    pub async fn serve(
        self,
        listener: TcpListener,
        stop: impl Future<Output = ()>,
    ) -> Result<Stopped> {
        self.sessions.watch(self.verifier.revocations().clone());
        self.sessions.watch_validity(&self.verifier);
        self.operations.revocations.watch(&self.supervisor);
        self.sockets.watch();
        self.presence.watch();
        self.operations.watch(&self.supervisor);
        // The server answers requests for its health until it has drained.
        let accepting = match &self.tls {
            None => self.accept(listener, Plain),
            Some(tls) => {
                tls.watch(self.certificate_reload(), &self.supervisor);
                self.accept(listener, tls.clone())
            }
        };
        tokio::select! {
            () = stop => {}
            _ = self.supervisor.losing() => {}
        }
        let unwritten = self.drain().await;
        accepting.abort();
        let lost = self.supervisor.lost();
        let stopped = Stopped { unwritten, lost };
        stopped.report();
        Ok(stopped)
    }

    /// The URL of the demo page for a browser on this machine.
    fn page_url(&self, mut address: SocketAddr) -> String {
        // A server that listens on all addresses is reached at the loopback address.
        if address.ip().is_unspecified() {
            address.set_ip(Ipv4Addr::LOCALHOST.into());
        }
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{address}")
    }

    /// Notify it to have the certificate read again.
    pub fn certificate_reload(&self) -> Arc<Notify> {
        Arc::clone(&self.certificate_reload)
    }

    /// Spawns the task that accepts connections.
    fn accept(&self, listener: TcpListener, handshake: impl Handshake) -> JoinHandle<()> {
        let front = Front::new(self.front(), handshake, self.router());
        let accepting = async move { front.accept(listener).await };
        self.supervisor.spawn(Task::Listener, accepting)
    }

    fn front(&self) -> front::Parts {
        front::Parts {
            limits: self.config.limits,
            timing: self.config.timing,
            proxies: self.config.proxies.clone(),
            places: self.places.clone(),
            share: self.share.clone(),
            metrics: self.metrics.clone(),
            supervisor: self.supervisor.clone(),
        }
    }
}
