//! Serves files in a directory, and never any outside it.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use asyncore::FileProducer;
use asyncore_http::Response;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode};

/// Characters to percent-encode in a path: all except RFC 3986's unreserved characters.
const IN_PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Responds with the file at `path` below `root`. `root` must be free of symbolic links.
pub(crate) fn respond(root: &Path, path: &str, query: Option<&str>) -> Response {
    match find(root, path) {
        Ok(Found::File(file)) => send(&file),
        Ok(Found::Directory(names)) => redirect(location(&names, query)),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => forbidden(),
        // Includes names that are too long or contain a NUL, and symbolic links that form a loop.
        Err(_) => missing(),
    }
}

enum Found {
    File(PathBuf),
    /// A directory requested without the final slash, with which relative links in its page would
    /// be wrong.
    Directory(Vec<Vec<u8>>),
}

fn find(root: &Path, path: &str) -> io::Result<Found> {
    // Decode before any check: otherwise an encoded dot or slash would pass unnoticed.
    let path: Vec<u8> = percent_decode_str(path).collect();
    let names: Vec<_> = path
        .split(|byte| *byte == b'/')
        .filter(|name| !matches!(*name, b"" | b"."))
        .map(<[u8]>::to_vec)
        .collect();
    if names.iter().any(|name| name == b"..") {
        return Err(ErrorKind::NotFound.into());
    }
    let wanted = root.join(names.iter().map(|name| OsStr::from_bytes(name)).collect::<PathBuf>());
    let found = resolve(root, &wanted)?;
    match (found.is_dir(), path.ends_with(b"/")) {
        (false, false) => Ok(Found::File(found)),
        (true, true) => Ok(Found::File(resolve(root, &found.join("index.html"))?)),
        (true, false) => Ok(Found::Directory(names)),
        (false, true) => Err(ErrorKind::NotFound.into()),
    }
}

/// Resolves symbolic links; fails if the result is not below `root`.
fn resolve(root: &Path, path: &Path) -> io::Result<PathBuf> {
    let real = fs::canonicalize(path)?;
    match real.starts_with(root) {
        true => Ok(real),
        // The response must not reveal whether the file exists.
        false => Err(ErrorKind::NotFound.into()),
    }
}

/// Returns the encoded path of a directory. Encoding again keeps decoded line breaks out of the
/// header.
fn location(names: &[Vec<u8>], query: Option<&str>) -> String {
    let mut location = String::from("/");
    for name in names {
        location.extend(percent_encode(name, IN_PATH));
        location.push('/');
    }
    if let Some(query) = query {
        location.push('?');
        location.push_str(query);
    }
    location
}

fn send(file: &Path) -> Response {
    match FileProducer::open(file) {
        Ok(producer) => Response::produced(content_type(file), producer.len(), producer),
        Err(error) => match error.kind() {
            ErrorKind::PermissionDenied => forbidden(),
            // The file was removed in the meantime, or is a pipe or a device.
            ErrorKind::NotFound | ErrorKind::InvalidInput => missing(),
            _ => Response::text(500, "the server cannot open this file at the moment"),
        },
    }
}

fn redirect(location: String) -> Response {
    Response::text(301, &format!("moved to {location}")).with_header("Location", location)
}

fn missing() -> Response {
    Response::text(404, "file not found")
}

fn forbidden() -> Response {
    Response::text(403, "the server may not read this file")
}

fn content_type(file: &Path) -> &'static str {
    let extension = file.extension().and_then(OsStr::to_str).unwrap_or_default();
    match extension.to_ascii_lowercase().as_str() {
        "html" | "htm" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "txt" | "md" | "rs" | "py" | "toml" => "text/plain; charset=utf-8",
        "csv" => "text/csv; charset=utf-8",
        "xml" => "text/xml; charset=utf-8",
        "json" | "map" => "application/json",
        "pdf" => "application/pdf",
        "wasm" => "application/wasm",
        "zip" => "application/zip",
        "gz" => "application/gzip",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "avif" => "image/avif",
        "ico" => "image/x-icon",
        "mp3" => "audio/mpeg",
        "mp4" => "video/mp4",
        "webm" => "video/webm",
        "woff2" => "font/woff2",
        "woff" => "font/woff",
        _ => "application/octet-stream",
    }
}
