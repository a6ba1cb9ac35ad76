use std::path::PathBuf;
use std::sync::Barrier;

use super::*;

fn path(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("forwarder-{name}-{}.sock", std::process::id()))
}

fn stream(path: &Path) -> io::Result<(Socket, SocketFile)> {
    listen(path, Type::STREAM, 1, Permissions::default(), |_| false)
}

#[test]
fn simultaneous_starts_produce_one_owner() {
    let path = path("race");
    for _ in 0..50 {
        // Abandoned, so that each of them finds something to replace.
        drop(Socket::new(Domain::UNIX, Type::STREAM, None).map(|it| {
            it.bind(&SockAddr::unix(&path).unwrap()).unwrap();
        }));
        let barrier = Barrier::new(4);
        let start = || {
            barrier.wait();
            stream(&path)
        };
        let results = thread::scope(|scope| {
            let starts: Vec<_> = (0..4).map(|_| scope.spawn(start)).collect();
            starts.into_iter().map(|it| it.join().unwrap()).collect::<Vec<_>>()
        });
        assert_eq!(results.iter().filter(|it| it.is_ok()).count(), 1, "{results:?}");
    }
    assert!(!path.exists());
}

#[test]
fn the_file_goes_with_its_owner_unless_another_has_the_path() {
    let path = path("owner");
    let (_first, file) = stream(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let (_second, other) = stream(&path).unwrap();
    drop(file);
    assert!(path.exists());
    drop(other);
    assert!(!path.exists());
}

#[test]
fn a_socket_whose_backlog_is_full_is_in_use() {
    let path = path("full");
    let (_socket, _file) = stream(&path).unwrap();
    let addr = SockAddr::unix(&path).unwrap();
    let clients = std::iter::from_fn(|| {
        let client = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        client.set_nonblocking(true).unwrap();
        client.connect(&addr).ok().map(|()| client)
    });
    let _clients: Vec<_> = clients.collect();
    assert_eq!(stream(&path).unwrap_err().kind(), io::ErrorKind::AddrInUse);
}

#[test]
fn another_kind_of_file_stays() {
    let path = path("file");
    std::fs::write(&path, "precious").unwrap();
    assert_eq!(stream(&path).unwrap_err().kind(), io::ErrorKind::AddrInUse);
    assert_eq!(std::fs::read(&path).unwrap(), b"precious");
    std::fs::remove_file(path).unwrap();
}
