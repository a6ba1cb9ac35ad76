use std::net::Ipv4Addr;

use super::*;

fn address(number: u32) -> IpAddr {
    Ipv4Addr::from(number).into()
}

#[test]
fn a_client_has_as_many_as_its_limit_and_then_no_more() {
    let clients = Clients::default();
    assert!(clients.enter(address(1), 2));
    assert!(clients.enter(address(1), 2));
    assert!(!clients.enter(address(1), 2));
    assert!(clients.enter(address(2), 2), "another client is not concerned");
    clients.leave(address(1));
    assert_eq!(clients.open(address(1)), 1);
    assert!(clients.enter(address(1), 2));
}

#[test]
fn a_limit_of_zero_lets_nobody_in() {
    let clients = Clients::default();
    assert!(!clients.enter(address(1), 0));
    assert!(clients.is_empty());
}

#[test]
fn a_client_without_connections_is_forgotten() {
    let clients = Clients::default();
    clients.enter(address(1), 9);
    clients.enter(address(1), 9);
    clients.leave(address(1));
    assert_eq!(clients.len(), 1);
    clients.leave(address(1));
    assert_eq!((clients.len(), clients.open(address(1))), (0, 0));
}

#[test]
fn both_forms_of_an_ipv4_address_are_one_client() {
    let clients = Clients::default();
    let (plain, mapped) = ("192.0.2.1".parse().unwrap(), "::ffff:192.0.2.1".parse().unwrap());
    assert!(clients.enter(plain, 1));
    assert!(!clients.enter(mapped, 1));
    clients.leave(mapped);
    assert!(clients.is_empty());
}

#[test]
fn the_memory_of_a_crowd_is_given_back_when_it_leaves() {
    let clients = Clients::default();
    for number in 0..100_000 {
        assert!(clients.enter(address(number), 1));
    }
    assert_eq!(clients.len(), 100_000);
    for number in 10..100_000 {
        clients.leave(address(number));
    }
    assert_eq!(clients.len(), 10);
    assert!(clients.capacity() <= SHARDS * 2 * SMALL, "{} kept", clients.capacity());
    assert!((0..10).all(|number| clients.open(address(number)) == 1));
}

#[test]
fn neighbouring_clients_are_spread_over_the_locks() {
    let clients = Clients::default();
    (0..16_000).for_each(|number| assert!(clients.enter(address(0x0a00_0000 + number), 1)));
    for shard in &clients.shards {
        let len = lock(shard).len();
        assert!((800..1200).contains(&len), "{len} of 16,000 behind one of {SHARDS} locks");
    }
}
