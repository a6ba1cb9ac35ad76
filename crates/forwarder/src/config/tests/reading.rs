//! Files that cannot be read, and tokens that are read from files.

use std::fs;

use crate::config::file::{SIZE_MAX, load};

use super::{Folder, RULE, config, refused};

#[test]
fn a_file_that_cannot_be_read_says_why() {
    let folder = Folder::new();
    let path = folder.path().join("none.toml");
    let sentence = load(&path, None).unwrap_err().to_string();
    assert_eq!(
        sentence,
        format!("{}: cannot be read: No such file or directory (os error 2)", path.display())
    );

    fs::write(&path, b"workers = 1\n# \xc3\xa9\xff\n").unwrap();
    let sentence = load(&path, None).unwrap_err().to_string();
    let expected =
        format!("{}:2:4: this is not UTF-8: save the file in that encoding", path.display());
    assert_eq!(sentence, expected);

    fs::write(&path, vec![b'\n'; SIZE_MAX as usize + 1]).unwrap();
    let sentence = load(&path, None).unwrap_err().to_string();
    assert_eq!(sentence, format!("{}: is larger than 4 MiB: name another file", path.display()));
}

#[test]
fn a_token_comes_from_a_file_and_is_no_secret_that_is_logged() {
    let folder = Folder::new();
    let token = folder.path().join("token");
    let text =
        format!("[status]\nlisten = \"*:8081\"\ntoken_file = \"{}\"\n{RULE}", token.display());
    let missing = config(&text).unwrap_err();
    assert!(missing.starts_with("forwarder.toml:3:14: the token file '"), "{missing}");
    assert!(
        missing.ends_with("No such file or directory (os error 2)): make it readable"),
        "{missing}"
    );

    fs::write(&token, "correct-horse\n").unwrap();
    let status = config(&text).unwrap().status.unwrap();
    assert_eq!(status.token.as_deref(), Some("correct-horse"));
    assert!(!format!("{status:?}").contains("horse"));

    for (content, wrong) in [
        ("short\n", "is shorter than 8 characters, which can be guessed"),
        ("with a space", "contains something else than letters, digits and punctuation"),
        (&"x".repeat(257), "is longer than 256 characters"),
    ] {
        fs::write(&token, content).unwrap();
        let expected = format!(
            "forwarder.toml:3:14: the token in '{}' {wrong}: make one with 'openssl rand -hex 16'",
            token.display()
        );
        assert_eq!(config(&text).unwrap_err(), expected);
    }
}

#[test]
fn a_token_is_given_once_and_only_to_a_status_page() {
    refused(
        &format!("[status]\nlisten = \"8081\"\ntoken = \"12345678\"\ntoken_file = \"/x\"\n{RULE}"),
        "forwarder.toml:3:9: a token is given as well as a file with one: remove one of the two",
    );
    for (line, column) in
        [("token = \"12345678\"", 9), ("token_file = \"/x\"", 14), ("public = true", 10)]
    {
        refused(
            &format!("[status]\n{line}\n{RULE}"),
            &format!(
                "forwarder.toml:2:{column}: there is no status page that this could apply to: give it an \
                 address, such as 127.0.0.1:8081"
            ),
        );
    }
    refused(
        &format!("[capture]\npcapng_filter = \"all\"\n{RULE}"),
        "forwarder.toml:2:17: there is no capture file that this could apply to: name one with 'pcapng'",
    );
}
