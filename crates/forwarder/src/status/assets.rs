//! The files of the pages, which are part of the program.

/// A page is of this moment, is made of nothing from elsewhere, and is not part of anything.
pub(crate) const HEADERS: &str = "Cache-Control: no-store\r\n\
    Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'\r\n\
    Cross-Origin-Resource-Policy: same-origin\r\n\
    Referrer-Policy: no-referrer\r\n\
    X-Content-Type-Options: nosniff\r\n";

use asyncore_http::Response;

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// A file of the status page.
pub(crate) fn status(name: &str) -> Option<Response> {
    match name {
        "" => Some(Response::new(HTML, include_str!("page/index.html").as_bytes())),
        "status.css" => Some(Response::new(CSS, include_str!("page/status.css").as_bytes())),
        "status.js" => Some(Response::new(SCRIPT, include_str!("page/status.js").as_bytes())),
        "rules.js" => Some(Response::new(SCRIPT, include_str!("page/rules.js").as_bytes())),
        "connections.js" => {
            Some(Response::new(SCRIPT, include_str!("page/connections.js").as_bytes()))
        }
        "token.js" => Some(Response::new(SCRIPT, include_str!("page/token.js").as_bytes())),
        _ => shared(name),
    }
}

/// A file of the built-in site.
pub(crate) fn site(name: &str) -> Option<Response> {
    match name {
        "" => Some(Response::new(HTML, include_str!("../site/page/index.html").as_bytes())),
        "site.css" => Some(Response::new(CSS, include_str!("../site/page/site.css").as_bytes())),
        "site.js" => Some(Response::new(SCRIPT, include_str!("../site/page/site.js").as_bytes())),
        _ => shared(name),
    }
}

/// A file that both have.
fn shared(name: &str) -> Option<Response> {
    match name {
        "base.css" => Some(Response::new(CSS, include_str!("page/base.css").as_bytes())),
        "graph.js" => Some(Response::new(SCRIPT, include_str!("page/graph.js").as_bytes())),
        "live.js" => Some(Response::new(SCRIPT, include_str!("page/live.js").as_bytes())),
        "icon.svg" => {
            Some(Response::new("image/svg+xml", include_str!("page/icon.svg").as_bytes()))
        }
        _ => None,
    }
}
