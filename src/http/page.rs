//! The demo page of `web/demo`, the documentation and the packed client, compiled into the binary and served in development.
//!
//! Every file has its own route, so no other path is served.

use axum::{
    Router,
    http::{HeaderMap, Method, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use rust_embed::{Embed, EmbeddedFile};
use tower_http::compression::{
    CompressionLayer, CompressionLevel,
    predicate::{DefaultPredicate, NotForContentType, Predicate},
};

use super::Parts;

/// The files that `npm run build` generated in `web/demo`.
#[derive(Embed)]
#[folder = "web/demo/dist"]
struct Dist;

/// The file that is served at `/`.
const INDEX: &str = "index.html";

/// The answer to browsers that request an unknown path.
const NOT_FOUND: &str = "404.html";

/// The type of the packed client.
const ARCHIVE: &str = "application/gzip";

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
    let served = Dist::iter().filter(|path| path != NOT_FOUND);
    let files = served.filter_map(|path| Some(PageFile::new(&path, Dist::get(&path)?)));
    let routes = files.fold(Router::new(), |router, file| {
        let route = file.route.clone();
        router.route(&route, get(async move |headers| file.answer(&headers)))
    });
    // Fonts and archives are already compressed, like the types that the default predicate excludes.
    let compressible = DefaultPredicate::new()
        .and(NotForContentType::const_new("font/"))
        .and(NotForContentType::const_new(ARCHIVE));
    let compression = CompressionLayer::new().quality(CompressionLevel::Fastest);
    routes.layer(compression.compress_when(compressible))
}

/// The answer with status 404 for a person at a browser, as a page; `None` for programs, which get an error as JSON.
pub(super) fn not_found(method: &Method, request: &HeaderMap) -> Option<Response> {
    let is_read = matches!(*method, Method::GET | Method::HEAD);
    let file = Dist::get(NOT_FOUND).filter(|_| is_read && wants_html(request))?;
    let mut response = PageFile::new(NOT_FOUND, file).answer(&HeaderMap::new());
    *response.status_mut() = StatusCode::NOT_FOUND;
    response.headers_mut().remove(header::ETAG);
    Some(response)
}

/// Whether the client accepts HTML by name, as browsers do when they open an address. Scripts and programs send other types,
/// or `*/*`.
fn wants_html(request: &HeaderMap) -> bool {
    let lists = request.get_all(header::ACCEPT).iter();
    let mut ranges = lists
        .filter_map(|list| list.to_str().ok())
        .flat_map(|list| list.split(','));
    ranges.any(|range| {
        let (kind, parameters) = range.split_once(';').unwrap_or((range, ""));
        let is_refused = ["q=0", "q=0.0", "q=0.00", "q=0.000"].contains(&parameters.trim());
        kind.trim().eq_ignore_ascii_case("text/html") && !is_refused
    })
}

impl PageFile {
    fn new(path: &str, file: EmbeddedFile) -> Self {
        let route = if path == INDEX {
            ""
        } else {
            path.strip_suffix(".html").unwrap_or(path)
        };
        // The table of types knows this ending by an older name.
        let is_archive = path.ends_with(".tgz");
        let kind = if is_archive {
            ARCHIVE
        } else {
            file.metadata.mimetype()
        };
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
        for path in [
            INDEX,
            NOT_FOUND,
            "client.tgz",
            "docs.html",
            "docs/client.html",
        ] {
            assert!(Dist::get(path).is_some(), "{path}");
        }
        assert!(routes().has_routes());
    }

    #[test]
    fn only_clients_that_accept_html_by_name_get_a_page_for_an_unknown_path() {
        let page = |method: Method, accept: &str| {
            let mut request = HeaderMap::new();
            request.insert(header::ACCEPT, accept.parse().expect("a header"));
            not_found(&method, &request).map(|response| response.status())
        };
        let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
        for accept in [browser, "TEXT/HTML; q=0.1", "application/json, text/html"] {
            assert_eq!(
                page(Method::GET, accept),
                Some(StatusCode::NOT_FOUND),
                "{accept}"
            );
        }
        for accept in ["*/*", "application/json", "text/html;q=0", "text/*", ""] {
            assert_eq!(page(Method::GET, accept), None, "{accept}");
        }
        assert_eq!(page(Method::POST, browser), None);
        assert!(not_found(&Method::GET, &HeaderMap::new()).is_none());
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
