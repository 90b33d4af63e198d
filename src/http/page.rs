//! The demo page of `web/demo`, compiled into the binary and served at `/` in development.
//!
//! Every file has its own route, so no other path is served.

use axum::{
    Router,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use rust_embed::{Embed, EmbeddedFile};
use tower_http::compression::{
    CompressionLayer,
    predicate::{DefaultPredicate, NotForContentType, Predicate},
};

use super::Parts;

/// The files that `npm run build` generated in `web/demo`.
#[derive(Embed)]
#[folder = "web/demo/dist"]
struct Dist;

/// The file that is served at `/`.
const INDEX: &str = "index.html";

/// The page may run only its own code and connect to any WebSocket; no page may frame it.
const CONTENT_SECURITY_POLICY: &str = "default-src 'self'; script-src 'self'; \
    style-src 'self' 'unsafe-inline'; img-src 'self' data: https:; connect-src 'self' ws: wss:; \
    worker-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'";

/// One file with the headers of its response.
#[derive(Clone)]
struct PageFile {
    route: String,
    content_type: String,
    etag: String,
    cache_control: &'static str,
    bytes: Bytes,
}

/// The page and its files.
pub(super) fn routes() -> Router<Parts> {
    let files = Dist::iter().filter_map(|path| Some(PageFile::new(&path, Dist::get(&path)?)));
    let routes = files.fold(Router::new(), |router, file| {
        let route = file.route.clone();
        router.route(&route, get(async move |headers| file.answer(&headers)))
    });
    // Fonts are already compressed, like the types that the default predicate excludes.
    let compressible = DefaultPredicate::new().and(NotForContentType::const_new("font/"));
    routes.layer(CompressionLayer::new().compress_when(compressible))
}

impl PageFile {
    fn new(path: &str, file: EmbeddedFile) -> Self {
        let route = if path == INDEX { "" } else { path };
        let kind = file.metadata.mimetype();
        let charset = if kind.starts_with("text/") {
            "; charset=utf-8"
        } else {
            ""
        };
        // The names of the files in assets/ contain a hash of their content.
        let cache_control = if path.starts_with("assets/") {
            "public, max-age=31536000, immutable"
        } else {
            "no-cache"
        };
        let hash = URL_SAFE_NO_PAD.encode(file.metadata.sha256_hash());
        Self {
            route: format!("/{route}"),
            content_type: format!("{kind}{charset}"),
            // Weak, because the tag is the same for the compressed and the plain body.
            etag: format!("W/\"{hash}\""),
            cache_control,
            bytes: Bytes::from_owner(file.data),
        }
    }

    fn answer(&self, request: &HeaderMap) -> Response {
        let headers = [
            (header::ETAG, self.etag.as_str()),
            (header::CACHE_CONTROL, self.cache_control),
            (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::REFERRER_POLICY, "same-origin"),
        ];
        if self.is_cached_by(request) {
            return (StatusCode::NOT_MODIFIED, headers).into_response();
        }
        let content_type = [(header::CONTENT_TYPE, self.content_type.as_str())];
        (headers, content_type, self.bytes.clone()).into_response()
    }

    /// Whether the client has the same content, by the weak comparison of RFC 9110, section 13.1.2.
    fn is_cached_by(&self, request: &HeaderMap) -> bool {
        let lists = request.get_all(header::IF_NONE_MATCH).iter();
        let mut tags = lists
            .filter_map(|list| list.to_str().ok())
            .flat_map(|list| list.split(','))
            .map(str::trim);
        let opaque = self.etag.trim_start_matches("W/");
        tags.any(|tag| tag == "*" || tag.trim_start_matches("W/") == opaque)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str) -> PageFile {
        PageFile::new(path, Dist::get(path).expect("a file of the page"))
    }

    #[test]
    fn the_name_of_every_file_is_a_valid_route() {
        let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
        for path in Dist::iter() {
            assert!(path.chars().all(plain), "{path}");
        }
        assert!(Dist::get(INDEX).is_some());
        assert!(routes().has_routes());
    }

    #[test]
    fn content_that_the_client_has_cached_is_not_sent_again() {
        let index = file(INDEX);
        let status = |tags: &str| {
            let mut request = HeaderMap::new();
            request.insert(header::IF_NONE_MATCH, tags.parse().expect("a header"));
            index.answer(&request).status()
        };
        let (weak, strong) = (index.etag.as_str(), &index.etag[2..]);
        let among_others = format!("\"other\", {weak}");
        for cached in [weak, strong, "*", &among_others] {
            assert_eq!(status(cached), StatusCode::NOT_MODIFIED, "{cached}");
        }
        assert_eq!(status("\"other\""), StatusCode::OK);
        assert_eq!(index.answer(&HeaderMap::new()).status(), StatusCode::OK);
    }
}
