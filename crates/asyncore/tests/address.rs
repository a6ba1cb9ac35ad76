//! Addresses: conversions and formatting.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::path::{Path, PathBuf};

use asyncore::{Address, Channel, Dispatcher, Domain, SocketMap, Type};

struct Plain;

impl Dispatcher for Plain {}

#[test]
fn endpoint_types_convert_into_addresses() {
    let four = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 80);
    let six = SocketAddrV6::new(Ipv6Addr::LOCALHOST, 80, 0, 0);
    for addr in [Address::from(four), Address::from((Ipv4Addr::LOCALHOST, 80))] {
        assert_eq!(addr, Address::Inet(SocketAddr::V4(four)));
        assert_eq!(addr, Address::from(([127, 0, 0, 1], 80)));
        assert_eq!(addr.inet(), Some(SocketAddr::V4(four)));
    }
    assert_eq!(Address::from(six), Address::from((Ipv6Addr::LOCALHOST, 80)));
    let path = Address::from(Path::new("/run/x.sock"));
    assert_eq!(path, Address::from(PathBuf::from("/run/x.sock")));
    assert_eq!(path, Address::from(&path));
    assert_eq!((path.inet(), Address::Unnamed.inet()), (None, None));
}

#[test]
fn addresses_display_as_they_are_written() {
    let shown = [
        (Address::from(([127, 0, 0, 1], 80)), "127.0.0.1:80"),
        (Address::from((Ipv6Addr::LOCALHOST, 80)), "[::1]:80"),
        (Address::from(Path::new("/run/it's ü.sock")), "unix:/run/it's ü.sock"),
        (Address::Unnamed, "unix:"),
    ];
    for (addr, text) in shown {
        assert_eq!(addr.to_string(), text);
    }
}

#[test]
fn a_path_cannot_forge_a_log_line() {
    let addr = Address::from(Path::new("/run/x\nERROR all is lost\u{1b}[2J"));
    assert_eq!(addr.to_string(), "unix:/run/x\\nERROR all is lost\\u{1b}[2J");
}

#[test]
fn an_unnamed_socket_cannot_be_bound_or_connected_to() {
    let mut map = SocketMap::new().unwrap();
    for act in
        [(|ch| ch.bind(Address::Unnamed)) as fn(&mut Channel<'_>) -> std::io::Result<()>, |ch| {
            ch.connect(Address::Unnamed)
        }]
    {
        let added = map.add_with(|ch| {
            ch.create_socket(Domain::UNIX, Type::STREAM)?;
            act(ch)?;
            Ok(Plain)
        });
        let error = added.unwrap_err().to_string();
        assert!(error.ends_with("an unnamed Unix socket cannot be an address; specify a path"));
    }
}
