//! The built-in site: one page that shows the server's activity.

use std::time::Instant;

use asyncore::{Channel, SocketMap, Token};
use asyncore_http::Response;
use serde_json::{Value, json};

const PAGE: &str = include_str!("index.html");

/// Maximum number of channels that the page lists.
const MAX_LISTED: usize = 20;

pub(crate) fn respond(ch: &mut Channel<'_>, path: &str, started: Instant) -> Response {
    match path {
        "/" | "/index.html" => Response::new("text/html; charset=utf-8", PAGE.as_bytes()),
        "/stats.json" => {
            Response::new("application/json", stats(ch, started).to_string().into_bytes())
                .with_header("Cache-Control", "no-store")
        }
        _ => Response::text(404, "this server has only / and /stats.json"),
    }
}

/// Returns the counters of the map and of its first channels.
fn stats(ch: &mut Channel<'_>, started: Instant) -> Value {
    let tokens: Vec<Token> = ch.tokens().collect();
    let listed: Vec<Value> =
        tokens.iter().take(MAX_LISTED).filter_map(|token| describe(ch, *token)).collect();
    let map = SocketMap::stats(ch);
    json!({
        "uptime": ch.now().duration_since(started).as_secs_f64(),
        "channels": tokens.len(),
        "passes": map.passes,
        "events": map.events,
        "bytes_in": map.bytes_in,
        "bytes_out": map.bytes_out,
        "opened": map.opened,
        "closed": map.closed,
        "accepted": map.accepted,
        "errors": map.errors,
        "timers": map.timers,
        "listed": listed,
    })
}

fn describe(ch: &mut Channel<'_>, token: Token) -> Option<Value> {
    let channel = ch.channel(token)?;
    let stats = channel.stats();
    Some(json!({
        "channel": format!("{channel:?}"),
        "bytes_in": stats.bytes_in,
        "bytes_out": stats.bytes_out,
        "events": stats.events,
        "queued": stats.output_len,
    }))
}
