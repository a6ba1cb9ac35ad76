//! Channels on files and pipes.

mod util;

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use std::path::PathBuf;

use asyncore::{Channel, Dispatcher, FileWrapper, Result, SimpleProducer, Socket, SocketMap};
use rustix::fs::OFlags;
use util::{Recorder, Seen, assert_rests, on_every_poller, run_until};

/// A temporary file, removed when the test ends.
struct TemporaryFile(PathBuf);

impl TemporaryFile {
    fn new(name: &str, contents: &[u8]) -> Self {
        let name = format!("asyncore-file-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::write(&path, contents).unwrap();
        TemporaryFile(path)
    }
}

impl Drop for TemporaryFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Returns the read end and the write end of a pipe.
fn pipe() -> (File, File) {
    let (ours, theirs) = rustix::pipe::pipe().unwrap();
    (ours.into(), theirs.into())
}

fn is_blocking(file: impl std::os::fd::AsFd) -> bool {
    !rustix::fs::fcntl_getfl(file).unwrap().contains(OFlags::NONBLOCK)
}

#[test]
fn a_file_wrapper_owns_a_duplicate() {
    let (mut ours, theirs) = pipe();
    let wrapper = FileWrapper::new(&theirs).unwrap();
    assert_ne!(wrapper.fileno(), theirs.as_raw_fd());
    wrapper.send(b"from the duplicate, ").unwrap();
    wrapper.close();
    (&theirs).write_all(b"from the original").unwrap();
    let wrapper = FileWrapper::new(&theirs).unwrap();
    drop(theirs);
    wrapper.write(b", and after it").unwrap();
    drop(wrapper);
    let mut read = String::new();
    ours.read_to_string(&mut read).unwrap();
    assert_eq!(read, "from the duplicate, from the original, and after it");
}

#[test]
fn a_file_wrapper_sets_nonblocking_and_restores_the_flags() {
    let (ours, theirs) = pipe();
    assert!(is_blocking(&ours));
    let wrapper = FileWrapper::new(&ours).unwrap();
    assert!(!is_blocking(&ours), "the flags are those of the open file");
    let mut buf = [0; 8];
    assert_eq!(wrapper.read(&mut buf).unwrap_err().kind(), ErrorKind::WouldBlock);
    assert_eq!(wrapper.recv(&mut buf).unwrap_err().kind(), ErrorKind::WouldBlock);
    drop(wrapper);
    assert!(is_blocking(&ours));

    rustix::io::ioctl_fionbio(&theirs, true).unwrap();
    drop(FileWrapper::new(&theirs).unwrap());
    assert!(!is_blocking(&theirs), "what was so before stays so");
}

#[test]
fn a_channel_restores_the_flags_when_it_closes() {
    on_every_poller(|builder| {
        let mut map = builder.build().unwrap();
        let (ours, _theirs) = pipe();
        let wrapper = FileWrapper::new(&ours).unwrap();
        let token = map.add_file(Recorder::new(&Seen::default()), wrapper);
        let _ = map.poll(util::PASS).unwrap();
        assert!(!is_blocking(&ours));
        map.channel(token).unwrap().close();
        assert!(is_blocking(&ours));
    });
}

#[test]
fn a_pipe_is_read_until_its_writer_closes() {
    on_every_poller(|builder| {
        let mut map = builder.build().unwrap();
        let seen = Seen::default();
        let (ours, mut theirs) = pipe();
        let token = map.add_file(Recorder::new(&seen), FileWrapper::new(ours).unwrap());
        assert!(map.channel(token).unwrap().is_connected());
        assert_rests(&mut map);
        theirs.write_all(b"through the pipe").unwrap();
        run_until(&mut map, |_| seen.received() == b"through the pipe");
        drop(theirs);
        run_until(&mut map, |map| map.is_empty());
        assert_eq!(seen.order(), "handle_read handle_eof handle_close");
        assert_eq!(seen.cause(), None);
    });
}

#[test]
fn a_pipe_is_written_as_its_reader_takes_it() {
    on_every_poller(|builder| {
        let mut map = builder.build().unwrap();
        let (mut ours, theirs) = pipe();
        rustix::io::ioctl_fionbio(&ours, true).unwrap();
        let seen = Seen::default();
        let token = map.add_file(Recorder::new(&seen).readable(|_| false), {
            FileWrapper::new(theirs).unwrap()
        });
        let mut channel = map.channel(token).unwrap();
        channel.push_with_producer(SimpleProducer::new(vec![7; 1_000_000]));
        channel.close_when_done();
        let mut read = Vec::new();
        run_until(&mut map, |map| {
            let _ = ours.read_to_end(&mut read);
            map.is_empty()
        });
        let _ = ours.read_to_end(&mut read);
        assert!(read == vec![7; 1_000_000], "{} bytes", read.len());
    });
}

#[test]
fn a_pipe_without_a_reader_closes_with_its_cause() {
    on_every_poller(|builder| {
        let mut map = builder.build().unwrap();
        let (ours, theirs) = pipe();
        let seen = Seen::default();
        let token = map.add_file(Recorder::new(&seen).readable(|_| false), {
            FileWrapper::new(theirs).unwrap()
        });
        drop(ours);
        map.channel(token).unwrap().push(b"unread");
        run_until(&mut map, |map| map.is_empty());
        assert_eq!(seen.calls(), ["handle_close"]);
        assert!(seen.cause().unwrap().contains("Broken pipe"), "{:?}", seen.cause());
    });
}

#[test]
fn a_regular_file_is_always_ready_and_read_to_its_end() {
    let contents: Vec<u8> = (0..100_000_u32).map(|number| number as u8).collect();
    let file = TemporaryFile::new("read", &contents);
    on_every_poller(|builder| {
        let mut map = builder.build().unwrap();
        let seen = Seen::default();
        let wrapper = FileWrapper::new(File::open(&file.0).unwrap()).unwrap();
        map.add_file(Recorder::new(&seen), wrapper);
        map.run().unwrap();
        assert!(seen.received() == contents);
        assert_eq!(seen.order(), "handle_read handle_eof handle_close");
    });
}

#[test]
fn a_regular_file_is_written() {
    on_every_poller(|builder| {
        let file = TemporaryFile::new("written", b"");
        let mut map = builder.build().unwrap();
        let writer = File::create(&file.0).unwrap();
        let handler = Recorder::new(&Seen::default()).readable(|_| false);
        let token = map.add_file(handler, FileWrapper::new(writer).unwrap());
        let mut channel = map.channel(token).unwrap();
        channel.push(vec![7; 200_000]);
        channel.close_when_done();
        map.run().unwrap();
        assert!(fs::read(&file.0).unwrap() == vec![7; 200_000]);
    });
}

#[test]
fn an_unread_regular_file_does_not_spin() {
    let file = TemporaryFile::new("unread", b"contents");
    on_every_poller(|builder| {
        let mut map = builder.build().unwrap();
        let wrapper = FileWrapper::new(File::open(&file.0).unwrap()).unwrap();
        let seen = Seen::default();
        let token = map.add_file(Recorder::new(&seen).readable(|_| false), wrapper);
        assert_rests(&mut map);
        assert_eq!(seen.calls(), [""; 0]);
        map.channel(token).unwrap().close();
        map.run().unwrap();
    });
}

#[test]
fn copying_a_file_to_a_slow_pipe_uses_little_memory() {
    struct Copy(asyncore::Token<Recorder>);
    impl Dispatcher for Copy {
        fn readable(&self, ch: &Channel<'_>) -> bool {
            ch.output_len_of(self.0) < 10_000
        }

        fn handle_read(&mut self, ch: &mut Channel<'_>) -> Result {
            let mut buf = [0; 4096];
            let n = ch.recv(&mut buf)?;
            if let Some(mut to) = ch.channel(self.0) {
                to.push(&buf[..n]);
                assert!(to.output_len() < 10_000 + 4096);
            }
            Ok(())
        }
    }
    let contents: Vec<u8> = (0..1_000_000_u32).map(|number| (number % 251) as u8).collect();
    let file = TemporaryFile::new("copied", &contents);
    on_every_poller(|builder| {
        let mut map = builder.build().unwrap();
        let (mut ours, theirs) = pipe();
        rustix::io::ioctl_fionbio(&ours, true).unwrap();
        let to = map.add_file(Recorder::new(&Seen::default()).readable(|_| false), {
            FileWrapper::new(theirs).unwrap()
        });
        map.add_file(Copy(to), FileWrapper::new(File::open(&file.0).unwrap()).unwrap());
        let mut read = Vec::new();
        run_until(&mut map, |_| {
            let _ = ours.read_to_end(&mut read);
            read.len() >= contents.len()
        });
        assert!(read == contents);
        assert_eq!(map.stats().errors, 0);
    });
}

#[test]
fn socket_operations_on_a_file_are_errors() {
    let (ours, _theirs) = pipe();
    let mut map = SocketMap::new().unwrap();
    let token =
        map.add(Recorder::new(&Seen::default()), Socket::from(FileWrapper::new(ours).unwrap()));
    let mut channel = map.channel(token).unwrap();
    let addr: std::net::SocketAddr = "127.0.0.1:0".parse().unwrap();
    let errors = [
        channel.bind(addr).unwrap_err(),
        channel.listen(1).unwrap_err(),
        channel.connect(addr).unwrap_err(),
        channel.local_addr().unwrap_err(),
        channel.send_oob(b"x").unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains("this channel is a file, not a socket"), "{error}");
    }
}
