use proptest::prelude::*;

use super::*;

fn list(allow: &[&str], deny: &[&str]) -> AccessList {
    let parse = |nets: &[&str]| nets.iter().map(|net| net.parse().unwrap()).collect();
    AccessList::new(&Access { allow: parse(allow), deny: parse(deny) })
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
        let access = Access { allow: nets(&allow), deny: nets(&deny) };
        let list = AccessList::new(&access);
        for last in 0..6 {
            let address: IpAddr = format!("192.0.2.{last}").parse().unwrap();
            let denied = access.deny.iter().any(|net| net.contains(&address));
            let allowed = access.allow.is_empty()
                || access.allow.iter().any(|net| net.contains(&address));
            prop_assert_eq!(list.permits(address), !denied && allowed, "{}", address);
        }
    }
}
