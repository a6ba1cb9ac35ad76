//! The site that is served: a directory, or the built-in page.

use std::path::PathBuf;
use std::time::Instant;
use std::{fs, io};

use asyncore::Channel;
use asyncore_http::{Answer, Reply, Request, Response, Service};

use super::{builtin, files, form};

/// In bytes; longer bodies are refused with 413.
const MAX_BODY_LENGTH: usize = 1024 * 1024;
/// A further client displaces the one that has been idle for longest.
const MAX_CONNECTIONS: usize = 1000;

pub(crate) enum Site {
    /// The canonical path of the directory, free of symbolic links.
    Directory(PathBuf),
    BuiltIn {
        started: Instant,
    },
}

impl Site {
    pub(crate) fn directory(dir: PathBuf) -> io::Result<Self> {
        let shown = dir.display();
        let in_context = |error: io::Error| {
            io::Error::new(error.kind(), format!("cannot serve the directory {shown}: {error}"))
        };
        let root = fs::canonicalize(&dir).map_err(in_context)?;
        // Fail at startup, not on every request, if the directory cannot be read.
        fs::read_dir(&root).map_err(in_context)?;
        Ok(Site::Directory(root))
    }

    pub(crate) fn built_in() -> Self {
        Site::BuiltIn { started: Instant::now() }
    }
}

impl Service for Site {
    fn respond(&self, ch: &mut Channel<'_>, request: &Request, _reply: Reply) -> Answer {
        let (path, query) = (request.path.as_str(), request.query.as_deref());
        Answer::Now(match (request.method.as_str(), self) {
            ("GET" | "HEAD", Site::Directory(root)) => files::respond(root, path, query),
            ("GET" | "HEAD", Site::BuiltIn { started }) => builtin::respond(ch, path, *started),
            ("POST", _) => form::echo(request),
            ("CONNECT" | "DELETE" | "OPTIONS" | "PATCH" | "PUT" | "TRACE", _) => {
                Response::text(405, "only GET, HEAD and POST are allowed here")
                    .with_header("Allow", "GET, HEAD, POST")
            }
            _ => Response::text(501, "only GET, HEAD and POST are implemented"),
        })
    }

    fn max_connections(&self) -> usize {
        MAX_CONNECTIONS
    }

    fn max_body(&self) -> usize {
        MAX_BODY_LENGTH
    }

    /// Writes an access log, except for the built-in page, which sends a request every second.
    fn log(&self, ch: &Channel<'_>, request: Option<&Request>, response: &Response) {
        if let Site::Directory(_) = self {
            let request = request.map_or_else(|| "-".to_owned(), ToString::to_string);
            let client = ch.addr().map(ToString::to_string).unwrap_or_default();
            let (status, length) = (response.status(), response.length());
            tracing::info!("{client} {request:?} {status} {length}");
        }
    }
}
