use super::*;

#[test]
fn names_and_numbers_are_looked_up() {
    for name in ["root", "0"] {
        let (uid, entry) = user_entry(name).unwrap();
        assert!(uid.is_root() && entry.is_some_and(|entry| entry.name == "root"), "{name}");
        assert_eq!(group_id(name).unwrap(), Gid::from_raw(0));
    }
    assert!(user_entry("4000000000").is_ok_and(|(_, entry)| entry.is_none()));
    for name in ["no-such-user", "-1", "4294967296"] {
        assert!(user_entry(name).is_err() && group_id(name).is_err(), "{name}");
    }
}

#[test]
fn a_number_without_an_entry_needs_a_group() {
    let user = Some("4000000000".to_owned());
    let config = Config { user, ..Config::default() };
    let error = Privileges::look_up(&config).unwrap_err().to_string();
    assert!(error.contains("set 'group'"), "{error}");
}
