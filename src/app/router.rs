//! Which part answers which request.

use std::sync::Arc;

use axum::{
    Router,
    extract::Request,
    http::{Uri, header},
    middleware::{self, Next},
    response::Response,
};
use tower_http::catch_panic::CatchPanicLayer;

use super::App;
use crate::{config::Environment, error::Error, http, socket, supervise::Task, websocket};

impl App {
    /// The service for all requests.
    pub(super) fn router(&self) -> Router {
        let (sockets, websockets) = (self.sockets.clone(), self.websockets.clone());
        let routes = http::routes(http::Parts {
            store: self.store.clone(),
            rooms: self.rooms.clone(),
            catalog: self.catalog.clone(),
            presence: self.presence.clone(),
            operations: self.operations.clone(),
            verifier: self.verifier.clone(),
            verifications: self.verifications.clone(),
            limits: self.config.limits,
            timing: self.config.timing,
            sessions: self.sessions.clone(),
            connections: Arc::new(move || sockets.len() + websockets.len()),
            supervisor: self.supervisor.clone(),
            metrics: self.metrics.clone(),
            metrics_token: self.config.metrics_token.clone(),
            auth: self.config.auth.clone(),
            dev_doors: self.config.dev_doors,
            instance: self.config.instance.clone(),
            started: self.started,
            asyncapi: socket::asyncapi,
        });
        let service = self.sockets.service();
        let routes = routes
            .route_service("/socket.io", service.clone())
            .route_service("/socket.io/", service)
            .route_service(
                &format!("{}{{*room}}", websocket::PATH),
                self.websockets.yjs(),
            )
            .route_service(websocket::HOCUSPOCUS_PATH, self.websockets.hocuspocus());
        let origins = self.config.origins.clone();
        let supervisor = self.supervisor.clone();
        // A layer that rewrites a request's path has to be outside of the routes.
        Router::new()
            .fallback_service(routes)
            .layer(middleware::from_fn(serve_engine_at_root))
            .layer(middleware::from_fn_with_state(
                origins.clone(),
                http::check_origin,
            ))
            .layer(http::cors(&origins))
            .layer(middleware::from_fn_with_state(
                self.transport(),
                http::secure,
            ))
            .layer(CatchPanicLayer::custom(move |payload| {
                supervisor.panicked(Task::HttpRequest, payload);
                http::refuse(&Error::Internal)
            }))
    }

    /// Whether browsers are told to use TLS only.
    fn transport(&self) -> http::Transport {
        match (&self.tls, self.config.environment) {
            (Some(_), Environment::Production) => http::Transport::TlsOnly,
            _ => http::Transport::Any,
        }
    }
}

/// Serves Engine.IO to a plain WebSocket upgrade at `/`, such as `wscat` requests it.
async fn serve_engine_at_root(mut request: Request, next: Next) -> Response {
    let upgrade = request.headers().get(header::UPGRADE);
    let websocket = upgrade.is_some_and(|to| to.as_bytes().eq_ignore_ascii_case(b"websocket"));
    if websocket && request.uri().path() == "/" {
        *request.uri_mut() = Uri::from_static("/socket.io/?EIO=4&transport=websocket");
    }
    next.run(request).await
}
