//! Routes with their descriptions. A route is only served together with its description, of which
//! `openapi.rs` makes the document: neither can be without the other.

use std::sync::Arc;

use axum::{
    Router,
    handler::Handler,
    http::{Method, StatusCode},
    routing::{MethodFilter, on},
};

use super::Parts;
use crate::operations::Description;

/// The media type of most bodies.
pub(super) const JSON: &str = "application/json";
/// The media type of an answer for people and load balancers.
pub(super) const TEXT: &str = "text/plain";

/// Who may send a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// Who has a token.
    Token,
    /// Who has the token of the metrics, where one is configured.
    Metrics,
    /// Everybody.
    Public,
}

/// One method of one path, with all that a client may know of it.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) method: Method,
    /// The path, with its parameters in braces, each of which is a field of the request.
    pub(super) path: &'static str,
    /// Its name, by which generated clients call it.
    pub(super) name: String,
    /// Its request, its answer, its errors.
    pub(super) description: Description,
    /// The statuses with which it answers.
    pub(super) statuses: Vec<StatusCode>,
    pub(super) access: Access,
    /// The media type of the body of a request; a JSON body has the fields that are not in the path.
    pub(super) takes: &'static str,
    /// The media type of the answer.
    pub(super) gives: &'static str,
}

impl Endpoint {
    /// An endpoint that needs a token, takes and gives JSON, and answers with 200.
    pub(super) fn new(
        method: Method,
        path: &'static str,
        name: &str,
        description: Description,
    ) -> Self {
        Self {
            method,
            path,
            name: name.to_owned(),
            description,
            statuses: vec![StatusCode::OK],
            access: Access::Token,
            takes: JSON,
            gives: JSON,
        }
    }

    /// Replaces the statuses.
    pub(super) fn statuses(mut self, statuses: &[StatusCode]) -> Self {
        self.statuses = statuses.to_vec();
        self
    }

    /// Replaces the access.
    pub(super) fn access(mut self, access: Access) -> Self {
        self.access = access;
        self
    }

    /// Replaces the media type of the request.
    pub(super) fn takes(mut self, media_type: &'static str) -> Self {
        self.takes = media_type;
        self
    }

    /// Replaces the media type of the answer.
    pub(super) fn gives(mut self, media_type: &'static str) -> Self {
        self.gives = media_type;
        self
    }
}

/// Routes that are served, and their descriptions.
#[derive(Default)]
pub(super) struct Routes {
    pub(super) router: Router<Parts>,
    pub(super) endpoints: Vec<Arc<Endpoint>>,
}

impl Routes {
    /// Adds a route, which `handler` answers.
    pub(super) fn add<H, T>(mut self, endpoint: impl Into<Arc<Endpoint>>, handler: H) -> Self
    where
        H: Handler<T, Parts>,
        T: 'static,
    {
        let endpoint = endpoint.into();
        let method = MethodFilter::try_from(endpoint.method.clone());
        let method = method.expect("a method that axum routes");
        self.router = self.router.route(endpoint.path, on(method, handler));
        self.endpoints.push(endpoint);
        self
    }

    /// Adds the routes of another part of the door.
    pub(super) fn merge(mut self, more: Self) -> Self {
        self.router = self.router.merge(more.router);
        self.endpoints.extend(more.endpoints);
        self
    }
}
