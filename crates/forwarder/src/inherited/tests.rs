use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};

use super::*;

#[test]
fn a_socket_is_taken_for_its_own_address_and_kind_only() {
    let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let datagrams = UdpSocket::bind(local).unwrap();
    let addr = datagrams.local_addr().unwrap();
    let mut inherited = Inherited::default();
    inherited.extend([Socket::from(datagrams)]);
    assert!(inherited.take(&Listen::Tcp(addr)).is_empty());
    assert_eq!(inherited.take(&Listen::Udp(addr)).len(), 1);
    assert!(inherited.take(&Listen::Udp(addr)).is_empty());
}

#[test]
fn all_sockets_of_a_shared_port_are_taken() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let addr = listener.local_addr().unwrap();
    let other = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let mut inherited = Inherited::default();
    let twin = listener.try_clone().unwrap();
    inherited.extend([listener, other, twin].map(Socket::from));
    assert_eq!(inherited.take(&Listen::Tcp(addr)).len(), 2);
    assert_eq!(inherited.by_listen.len(), 1);
}
