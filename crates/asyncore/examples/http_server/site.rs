//! The site that is served: a directory, or the built-in page.

use std::path::PathBuf;
use std::time::Instant;
use std::{fs, io};

use asyncore::Channel;

use super::request::Request;
use super::response::Response;
use super::{builtin, files, form};

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

    pub(crate) fn respond(&self, ch: &mut Channel<'_>, request: &Request) -> Response {
        match request.method.as_str() {
            "GET" | "HEAD" => self.page(ch, request),
            "POST" => form::echo(request),
            "CONNECT" | "DELETE" | "OPTIONS" | "PATCH" | "PUT" | "TRACE" => {
                Response::error(405, "only GET, HEAD and POST are allowed here")
                    .with_header("Allow", "GET, HEAD, POST")
            }
            _ => Response::error(501, "only GET, HEAD and POST are implemented"),
        }
    }

    fn page(&self, ch: &mut Channel<'_>, request: &Request) -> Response {
        let Some((path, query)) = request.path_and_query() else {
            return Response::error(400, "the request target is not a path");
        };
        match self {
            Site::Directory(root) => files::respond(root, path, query),
            Site::BuiltIn { started } => builtin::respond(ch, path, *started),
        }
    }
}
