//! The whole server: builds each part once, serves, and drains in reverse.

use std::{future::Future, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::Request,
    http::{Uri, header},
    middleware::{self, Next},
    response::Response,
    serve::ListenerExt,
};
use tokio::{net::TcpListener, time::Instant};
use tower_http::catch_panic::CatchPanicLayer;
use tracing::{info, warn};

use crate::{
    auth::Verifier,
    config::Config,
    documents::Documents,
    error::Result,
    http,
    limits::Memory,
    metrics::Metrics,
    room::Rooms,
    socket::Sockets,
    store::{JournalOptions, Store, Unwritten},
};

/// How long closing transports may take to be told to the clients.
const FAREWELL: Duration = Duration::from_millis(500);

/// Every part of the server.
pub struct App {
    config: Config,
    metrics: Metrics,
    verifier: Verifier,
    store: Store,
    rooms: Rooms,
    sockets: Sockets,
    started: Instant,
}

/// How serving ended.
#[derive(Debug)]
pub struct Stopped {
    /// What was accepted and could not be written.
    pub unwritten: Unwritten,
}

impl App {
    /// Opens the database, reads the keys, and puts the parts together.
    ///
    /// # Errors
    /// Where the database or the keys cannot be used; the cause is logged.
    pub async fn build(config: Config, metrics: Metrics) -> Result<Self> {
        let started = Instant::now();
        let verifier = Verifier::new(&config.auth).await?;
        let journal = JournalOptions {
            bytes_max: config.limits.journal_bytes_max,
            commit_interval: Duration::from_millis(config.timing.commit_interval_ms),
        };
        let store = Store::open(&config.database_url, journal, metrics.clone()).await?;
        let memory = Memory::new(config.limits.memory_bytes_max, metrics.clone());
        let rooms = Rooms::new(
            store.clone(),
            config.limits,
            config.timing,
            memory,
            metrics.clone(),
        );
        let sockets = Sockets::new(
            verifier.clone(),
            rooms.clone(),
            config.limits,
            config.timing,
            metrics.clone(),
            config.instance.clone(),
        );
        Ok(Self {
            config,
            metrics,
            verifier,
            store,
            rooms,
            sockets,
            started,
        })
    }

    /// Serves on `listener` until `stop` resolves, then drains: refuses new
    /// work, writes what was accepted, acknowledges it, and closes the
    /// transports so that clients reconnect elsewhere by themselves.
    ///
    /// # Errors
    /// None today: a connection that fails is its own.
    pub async fn serve(
        self,
        listener: TcpListener,
        stop: impl Future<Output = ()>,
    ) -> Result<Stopped> {
        self.sockets.watch();
        let listener = listener.tap_io(|tcp| {
            // Without it small frames wait for the peer's delayed acknowledgement;
            // a connection that refuses the option still works.
            let _ = tcp.set_nodelay(true);
        });
        let server = axum::serve(listener, self.router().into_make_service());
        tokio::select! {
            // It never returns: the listener retries what can be retried.
            _ = server.into_future() => {}
            unwritten = async { stop.await; self.drain().await } => return Ok(Stopped { unwritten }),
        }
        Ok(Stopped {
            unwritten: self.drain().await,
        })
    }

    fn router(&self) -> Router {
        let sockets = self.sockets.clone();
        let vitals = move || http::Vitals {
            connections: sockets.len(),
            draining: sockets.draining(),
        };
        let routes = http::routes(http::Parts {
            store: self.store.clone(),
            rooms: self.rooms.clone(),
            documents: Documents::new(self.store.clone()),
            verifier: self.verifier.clone(),
            vitals: Arc::new(vitals),
            metrics: self.metrics.clone(),
            metrics_token: self.config.metrics_token.clone(),
            auth: self.config.auth.clone(),
            dev_doors: self.config.dev_doors,
            instance: self.config.instance.clone(),
            started: self.started,
        });
        let service = self.sockets.service();
        let routes = routes
            .route_service("/socket.io", service.clone())
            .route_service("/socket.io/", service);
        let origins = self.config.origins.clone();
        // What rewrites a request's path has to stand outside of the routes.
        Router::new()
            .fallback_service(routes)
            .layer(middleware::from_fn(serve_engine_at_root))
            .layer(middleware::from_fn_with_state(
                origins.clone(),
                http::check_origin,
            ))
            .layer(http::cors(&origins))
            .layer(CatchPanicLayer::new())
    }

    async fn drain(&self) -> Unwritten {
        let began = Instant::now();
        let deadline = began + Duration::from_millis(self.config.timing.drain_timeout_ms);
        info!(
            connections = self.sockets.len(),
            rooms = self.rooms.len(),
            "draining"
        );
        self.sockets.begin_draining();
        let late = self.rooms.drain(deadline).await;
        if late > 0 {
            warn!(rooms = late, "rooms had not written everything in time");
        }
        let unwritten = self.store.close(deadline).await;
        let told = Instant::now() + FAREWELL;
        while !self.sockets.is_drained() && Instant::now() < told {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.sockets.close();
        while !self.sockets.is_empty() && Instant::now() < told + FAREWELL {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        info!(took_ms = began.elapsed().as_millis() as u64, "drained");
        unwritten
    }
}

/// Serves Engine.IO to a plain WebSocket upgrade at `/`, as `wscat` makes it.
async fn serve_engine_at_root(mut request: Request, next: Next) -> Response {
    let upgrade = request.headers().get(header::UPGRADE);
    let websocket = upgrade.is_some_and(|to| to.as_bytes().eq_ignore_ascii_case(b"websocket"));
    if websocket && request.uri().path() == "/" {
        *request.uri_mut() = Uri::from_static("/socket.io/?EIO=4&transport=websocket");
    }
    next.run(request).await
}
