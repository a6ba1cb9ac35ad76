use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::{BodyProducer, Producer, ReaderProducer};

/// A producer of a file's contents, up to 64 KiB at a time.
///
/// The length is fixed when the file is opened, so that it can be announced before the contents.
/// The producer sends exactly that many bytes: it omits bytes written to the file later, and a
/// file that has been truncated is an error.
///
/// Reading from a disk blocks the loop for as long as the disk takes.
///
/// # Examples
///
/// ```no_run
/// use asyncore::FileProducer;
///
/// let file = FileProducer::open("index.html")?;
/// let header = format!("Content-Length: {}\r\n\r\n", file.len());
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct FileProducer {
    path: PathBuf,
    length: u64,
    body: BodyProducer<ReaderProducer<File>>,
}

impl FileProducer {
    /// Opens the file at `path`.
    ///
    /// # Errors
    ///
    /// If the file does not exist, cannot be read, or is not a regular file: a directory cannot
    /// be sent, and a pipe or a device has no length. The error names the path.
    pub fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        let path = path.as_ref();
        let (file, length) = open_regular(path).map_err(|error| {
            let sentence = format!("cannot open {} to send it: {error}", path.display());
            io::Error::new(error.kind(), sentence)
        })?;
        Ok(Self {
            path: path.to_owned(),
            length,
            body: BodyProducer::new(ReaderProducer::new(file), length),
        })
    }

    /// Returns the length of the file when it was opened, in bytes: the total number sent.
    pub fn len(&self) -> u64 {
        self.length
    }

    /// Returns `true` if the file was empty when it was opened.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }
}

impl Producer for FileProducer {
    /// # Errors
    ///
    /// If the file cannot be read, or is shorter than it was when it was opened. The error names
    /// the path.
    fn more(&mut self, buf: &mut Vec<u8>) -> io::Result<()> {
        self.body.more(buf).map_err(|error| {
            let sentence = format!("cannot continue sending {}: {error}", self.path.display());
            io::Error::new(error.kind(), sentence)
        })
    }
}

fn open_regular(path: &Path) -> io::Result<(File, u64)> {
    // Checked before opening, because opening a pipe blocks until it has a writer.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    Ok((file, length))
}

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Write};
    use std::{env, process};

    use super::*;
    use crate::framing::producer::test_support::pieces;

    /// A file that is removed when the test ends, even by a panic.
    struct TemporaryFile(PathBuf);

    impl TemporaryFile {
        fn new(name: &str, contents: &[u8]) -> Self {
            let path = env::temp_dir().join(format!("asyncore-{}-{name}", process::id()));
            fs::write(&path, contents).unwrap();
            Self(path)
        }
    }

    impl Drop for TemporaryFile {
        fn drop(&mut self) {
            let _ = fs::remove_file(&self.0);
        }
    }

    #[test]
    fn the_whole_file_is_sent_in_pieces() {
        let contents: Vec<u8> = (0..150_000_u32).map(|number| number as u8).collect();
        let file = TemporaryFile::new("whole", &contents);
        let producer = FileProducer::open(&file.0).unwrap();
        assert_eq!((producer.len(), producer.is_empty()), (150_000, false));
        let pieces = pieces(producer).unwrap();
        assert_eq!(pieces.len(), 3);
        assert_eq!(pieces.concat(), contents);
    }

    #[test]
    fn an_empty_file_is_exhausted_at_once() {
        let file = TemporaryFile::new("empty", b"");
        let producer = FileProducer::open(&file.0).unwrap();
        assert!(producer.is_empty());
        assert!(pieces(producer).unwrap().is_empty());
    }

    #[test]
    fn bytes_appended_after_opening_are_not_sent() {
        let file = TemporaryFile::new("grown", b"announced");
        let producer = FileProducer::open(&file.0).unwrap();
        let mut appended = File::options().append(true).open(&file.0).unwrap();
        appended.write_all(b", and more").unwrap();
        assert_eq!(pieces(producer).unwrap(), [b"announced"]);
    }

    #[test]
    fn a_truncated_file_is_an_error_that_names_it() {
        let file = TemporaryFile::new("cut", b"announced");
        let producer = FileProducer::open(&file.0).unwrap();
        fs::write(&file.0, b"ann").unwrap();
        let error = pieces(producer).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
        assert!(error.to_string().contains(&*file.0.to_string_lossy()), "{error}");
    }

    #[test]
    fn a_missing_file_is_an_error_that_names_it() {
        let error = FileProducer::open("no/such/file").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.to_string().contains("no/such/file"), "{error}");
    }

    #[test]
    fn a_directory_cannot_be_sent() {
        let error = FileProducer::open(env::temp_dir()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains("not a regular file"), "{error}");
    }
}
