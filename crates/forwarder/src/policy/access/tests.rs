use std::net::{Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use super::*;

fn list(allow: &[&str], deny: &[&str]) -> AccessList {
    let parse = |nets: &[&str]| nets.iter().map(|net| net.parse().unwrap()).collect::<Vec<_>>();
    AccessList::new(&parse(allow), &parse(deny))
}

fn permits(list: &AccessList, address: &str) -> bool {
    list.permits(address.parse().unwrap())
}

#[test]
fn without_lists_everybody_may_connect() {
    let list = list(&[], &[]);
    assert!(permits(&list, "192.0.2.1"));
    assert!(permits(&list, "2001:db8::1"));
}

#[test]
fn an_allow_list_keeps_out_everybody_else() {
    let list = list(&["10.0.0.0/8"], &[]);
    assert!(permits(&list, "10.0.0.1"));
    assert!(permits(&list, "::ffff:10.0.0.1"));
    assert!(!permits(&list, "192.0.2.1"));
    assert!(!permits(&list, "2001:db8::1"));
}

#[test]
fn what_is_denied_stays_denied_inside_what_is_allowed() {
    let list = list(&["10.0.0.0/8"], &["10.1.0.0/16"]);
    assert!(permits(&list, "10.2.0.1"));
    assert!(!permits(&list, "10.1.0.1"));
    assert!(!permits(&list, "::ffff:10.1.0.1"));
}

#[test]
fn a_deny_list_alone_lets_in_everybody_else() {
    let list = list(&[], &["2001:db8::/32"]);
    assert!(permits(&list, "192.0.2.1"));
    assert!(!permits(&list, "2001:db8::1"));
}

proptest! {
    #[test]
    fn access_is_not_denied_and_then_allowed_or_allowed_to_all(
        allow in prop::collection::vec((0u8..4, 30u8..=32), 0..3),
        deny in prop::collection::vec((0u8..4, 30u8..=32), 0..3),
    ) {
        let nets = |nets: &[(u8, u8)]| -> Vec<_> {
            nets.iter().map(|(last, prefix)| format!("192.0.2.{last}/{prefix}").parse().unwrap()).collect()
        };
        let (allow, deny): (Vec<IpNet>, Vec<IpNet>) = (nets(&allow), nets(&deny));
        let list = AccessList::new(&allow, &deny);
        for last in 0..6 {
            let address: IpAddr = format!("192.0.2.{last}").parse().unwrap();
            let denied = deny.iter().any(|net| net.contains(&address));
            let allowed = allow.is_empty()
                || allow.iter().any(|net| net.contains(&address));
            prop_assert_eq!(list.permits(address), !denied && allowed, "{}", address);
        }
    }
}

fn set(nets: &[&str]) -> NetSet {
    NetSet::new(&nets.iter().map(|net| net.parse().unwrap()).collect::<Vec<_>>())
}

fn has(set: &NetSet, address: &str) -> bool {
    set.contains(address.parse().unwrap())
}

#[test]
fn a_mapped_address_is_its_ipv4_address() {
    let set = set(&["10.0.0.0/8"]);
    assert!(has(&set, "10.1.2.3"));
    assert!(has(&set, "::ffff:10.1.2.3"));
    assert!(!has(&set, "::ffff:11.1.2.3"));
    assert!(!has(&set, "::10.1.2.3"), "the old compatible form is no mapped address");
}

#[test]
fn a_mapped_network_is_its_ipv4_network() {
    assert_eq!(set(&["::ffff:10.0.0.0/104"]), set(&["10.0.0.0/8"]));
    assert_eq!(set(&["::ffff:10.0.0.1/128"]), set(&["10.0.0.1/32"]));
    assert_eq!(set(&["::ffff:0:0/96"]), set(&["0.0.0.0/0"]));
}

#[test]
fn an_ipv6_network_has_no_ipv4_address() {
    let set = set(&["::/0"]);
    assert!(has(&set, "2001:db8::1"));
    assert!(!has(&set, "192.0.2.1"));
    assert!(!has(&set, "::ffff:192.0.2.1"));
}

#[test]
fn the_ends_of_a_network_belong_to_it_and_their_neighbours_do_not() {
    let set = set(&["192.0.2.64/26", "2001:db8::/32", "255.255.255.255/32", "0.0.0.0/32"]);
    for inside in ["192.0.2.64", "192.0.2.127", "2001:db8::", "255.255.255.255", "0.0.0.0"] {
        assert!(has(&set, inside), "{inside}");
    }
    assert!(has(&set, "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"));
    for outside in ["192.0.2.63", "192.0.2.128", "2001:db7:ffff::", "2001:db9::", "0.0.0.1"] {
        assert!(!has(&set, outside), "{outside}");
    }
}

#[test]
fn only_the_set_without_networks_is_empty() {
    assert!(set(&[]).is_empty());
    assert!(!set(&["0.0.0.0/0"]).is_empty());
    assert!(!set(&["::/0"]).is_empty());
}

/// Addresses with few bits, so that networks and addresses meet often.
fn address() -> impl Strategy<Value = IpAddr> {
    let v4 = (0u32..64, 0u32..=26).prop_map(|(bits, shift)| bits << shift);
    let v6 = (0u128..64, 0u32..=122).prop_map(|(bits, shift)| bits << shift);
    prop_oneof![
        v4.clone().prop_map(|bits| IpAddr::from(Ipv4Addr::from(bits))),
        v4.prop_map(|bits| IpAddr::from(Ipv4Addr::from(bits).to_ipv6_mapped())),
        v6.prop_map(|bits| IpAddr::from(Ipv6Addr::from(bits))),
    ]
}

fn net() -> impl Strategy<Value = IpNet> {
    (address(), 0u8..=128).prop_map(|(address, prefix)| {
        let longest = if address.is_ipv4() { 32 } else { 128 };
        IpNet::new(address, prefix.min(longest)).unwrap()
    })
}

/// Returns whether the first `prefix` bits of two addresses are equal.
fn agree(a: u128, b: u128, width: u32, prefix: u8) -> bool {
    prefix == 0 || (a ^ b) >> (width - u32::from(prefix)) == 0
}

fn plain_contains(nets: &[IpNet], address: IpAddr) -> bool {
    nets.iter().any(|net| match (net.addr(), address.to_canonical()) {
        (IpAddr::V4(net_address), IpAddr::V4(address)) => {
            agree(net_address.to_bits().into(), address.to_bits().into(), 32, net.prefix_len())
        }
        (IpAddr::V6(net_address), IpAddr::V6(address)) => {
            agree(net_address.to_bits(), address.to_bits(), 128, net.prefix_len())
        }
        (IpAddr::V6(net_address), IpAddr::V4(address)) => {
            // In the mapped range as a whole, or in none of it.
            let mapped = address.to_ipv6_mapped().to_bits();
            net.prefix_len() >= 96 && agree(net_address.to_bits(), mapped, 128, net.prefix_len())
        }
        (IpAddr::V4(_), IpAddr::V6(_)) => false,
    })
}

proptest! {
    #[test]
    fn a_set_contains_what_one_of_its_networks_contains(
        nets in prop::collection::vec(net(), 0..12),
        addresses in prop::collection::vec(address(), 1..40),
    ) {
        let set = NetSet::new(&nets);
        // The ends of the networks and what is next to them, besides addresses at random.
        let ends = nets.iter().flat_map(|net| [net.network(), net.broadcast(), net.addr()]);
        for address in ends.chain(addresses) {
            prop_assert_eq!(set.contains(address), plain_contains(&nets, address), "{}", address);
        }
    }
}
