//! Files that cannot be read, and tokens that are read from files.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use crate::config::file::MAX_SIZE;

use super::{Folder, RULE, config, load, refused};

#[test]
fn a_file_that_cannot_be_read_says_why() {
    let folder = Folder::new();
    let path = folder.path().join("none.toml");
    let sentence = load(&path).unwrap_err().to_string();
    assert_eq!(
        sentence,
        format!("{}: cannot be read: No such file or directory (os error 2)", path.display())
    );

    fs::write(&path, b"workers = 1\n# \xc3\xa9\xff\n").unwrap();
    let sentence = load(&path).unwrap_err().to_string();
    let expected =
        format!("{}:2:4: this is not UTF-8: save the file in that encoding", path.display());
    assert_eq!(sentence, expected);

    fs::write(&path, vec![b'\n'; MAX_SIZE as usize + 1]).unwrap();
    let sentence = load(&path).unwrap_err().to_string();
    assert_eq!(sentence, format!("{}: cannot be read: it is larger than 4.0 MiB", path.display()));
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
        ("with a space", "contains characters other than letters, digits and punctuation"),
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
        "forwarder.toml:3:9: there is a token and a file with a token: remove one of the two",
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
        &format!("[capture]\npcapng_filter = \"rule=x\"\n{RULE}"),
        "forwarder.toml:2:17: there is no capture file that this could apply to: set pcapng\n\
         forwarder.toml:2:17: there is no rule called 'x': write the name of one, such as '127.0.0.1:80'",
    );
}

#[test]
fn a_pipe_in_the_place_of_a_file_is_refused_at_once() {
    let folder = Folder::new();
    let path = folder.path().join("pipe");
    rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RWXU).unwrap();
    let message = "cannot be read: it is not a regular file";
    assert_eq!(load(&path), Err(format!("{}: {message}", path.display())));
    let text = format!("[status]\nlisten = \"81\"\ntoken_file = \"{}\"\n{RULE}", path.display());
    assert!(config(&text).unwrap_err().contains("(it is not a regular file)"));
}

#[test]
fn a_token_that_every_user_can_read_is_warned_of() {
    let folder = Folder::new();
    let (path, token) = (folder.path().join("f.toml"), folder.path().join("token"));
    let set_mode = |path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    let warnings = |text: &str, mode| {
        fs::write(&path, format!("{text}{RULE}")).unwrap();
        set_mode(&path, mode);
        load(&path).unwrap().warnings
    };
    fs::write(&token, "correct-horse\n").unwrap();
    let with_file = format!("[status]\nlisten = \"81\"\ntoken_file = \"{}\"\n", token.display());
    for (mode, is_dangerous) in [(0o644, true), (0o604, true), (0o640, false), (0o600, false)] {
        set_mode(&token, mode);
        let found = warnings(&with_file, 0o644);
        assert_eq!(found.len(), usize::from(is_dangerous), "{mode:o}: {found:?}");
    }
    let with_token = "[status]\nlisten = \"81\"\ntoken = \"correct-horse\"\n";
    let path_shown = path.display().to_string();
    assert_eq!(
        warnings(with_token, 0o644),
        [format!(
            "every user of this machine can read the token in '{path_shown}': chmod o-r {path_shown}"
        )]
    );
    assert_eq!(warnings(with_token, 0o640), [""; 0]);
    assert_eq!(warnings("", 0o644), [""; 0]);
}
