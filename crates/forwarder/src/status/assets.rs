//! The files of the pages, which are part of the program.

use crate::http::Response;

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// A file of the status page.
pub(crate) fn status(name: &str) -> Option<Response> {
    match name {
        "" => Some(Response::fixed(HTML, include_str!("page/index.html"))),
        "status.css" => Some(Response::fixed(CSS, include_str!("page/status.css"))),
        "status.js" => Some(Response::fixed(SCRIPT, include_str!("page/status.js"))),
        "rules.js" => Some(Response::fixed(SCRIPT, include_str!("page/rules.js"))),
        "connections.js" => Some(Response::fixed(SCRIPT, include_str!("page/connections.js"))),
        "token.js" => Some(Response::fixed(SCRIPT, include_str!("page/token.js"))),
        _ => shared(name),
    }
}

/// A file of the built-in site.
pub(crate) fn site(name: &str) -> Option<Response> {
    match name {
        "" => Some(Response::fixed(HTML, include_str!("../site/page/index.html"))),
        "site.css" => Some(Response::fixed(CSS, include_str!("../site/page/site.css"))),
        "site.js" => Some(Response::fixed(SCRIPT, include_str!("../site/page/site.js"))),
        _ => shared(name),
    }
}

/// A file that both have.
fn shared(name: &str) -> Option<Response> {
    match name {
        "base.css" => Some(Response::fixed(CSS, include_str!("page/base.css"))),
        "graph.js" => Some(Response::fixed(SCRIPT, include_str!("page/graph.js"))),
        "live.js" => Some(Response::fixed(SCRIPT, include_str!("page/live.js"))),
        "icon.svg" => Some(Response::fixed("image/svg+xml", include_str!("page/icon.svg"))),
        _ => None,
    }
}
