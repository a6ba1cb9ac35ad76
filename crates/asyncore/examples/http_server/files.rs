//! Files in a directory, and no others.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use asyncore::FileProducer;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode};

use super::response::Response;

/// What must be encoded in a path: all but what RFC 3986 calls unreserved.
const IN_PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Answers with the file that `path` names below `root`, which is free of symbolic links.
pub(crate) fn respond(root: &Path, path: &str, query: Option<&str>) -> Response {
    match find(root, path) {
        Ok(Found::File(file)) => send(&file),
        Ok(Found::Directory(names)) => Response::redirect(location(&names, query)),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => forbidden(),
        // Also a name with a NUL or too long, and a link that leads to itself.
        Err(_) => missing(),
    }
}

enum Found {
    File(PathBuf),
    /// A directory that was named like a file, so that the links on its page would go wrong.
    Directory(Vec<Vec<u8>>),
}

fn find(root: &Path, path: &str) -> io::Result<Found> {
    // Decoded before anything is looked at, or an encoded dot or slash would go unseen.
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

/// Follows symbolic links, as long as they stay below `root`.
fn resolve(root: &Path, path: &Path) -> io::Result<PathBuf> {
    let real = fs::canonicalize(path)?;
    match real.starts_with(root) {
        true => Ok(real),
        // Not even that the file exists is anybody's business.
        false => Err(ErrorKind::NotFound.into()),
    }
}

/// Encoded anew, so that nothing that was decoded can end up as it is in a header.
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
        Ok(producer) => Response::file(content_type(file), producer),
        Err(error) => match error.kind() {
            ErrorKind::PermissionDenied => forbidden(),
            // It has gone meanwhile, or is a pipe or a device.
            ErrorKind::NotFound | ErrorKind::InvalidInput => missing(),
            _ => Response::error(500, "the server cannot open this file at the moment"),
        },
    }
}

fn missing() -> Response {
    Response::error(404, "there is no such file here")
}

fn forbidden() -> Response {
    Response::error(403, "the server may not read this file")
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
