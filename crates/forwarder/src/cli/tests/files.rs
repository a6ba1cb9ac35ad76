//! A file and a command line together.

use std::fs;

use crate::cli::{Command, Error, parse_with};
use crate::config::Config;
use crate::config::tests::Folder;

/// A folder with a file `f.toml`.
fn folder(text: &str) -> Folder {
    let folder = Folder::new();
    fs::write(folder.path().join("f.toml"), text).unwrap();
    folder
}

fn command(folder: &Folder, arguments: &[&str], token: Option<&str>) -> Result<Command, Error> {
    let file = folder.path().join("f.toml").display().to_string();
    let arguments = [&["forwarder", "--config", &file], arguments].concat();
    parse_with(arguments, token.map(str::to_owned))
}

fn config(text: &str, arguments: &[&str], token: Option<&str>) -> Config {
    match command(&folder(text), arguments, token) {
        Ok(Command::Run { config, .. }) => config,
        other => panic!("{other:?}"),
    }
}

/// The exit code, and the sentences without the folder's name.
fn refused(text: &str, arguments: &[&str]) -> (u8, String) {
    let folder = folder(text);
    let usage = command(&folder, arguments, None).unwrap_err();
    let prefix = format!("{}/", folder.path().display());
    (usage.exit_code(), usage.to_string().replace(&prefix, ""))
}

const RULE: &str = "[[rule]]\nlisten = '80'\ntargets = ['a:1']\n";

#[test]
fn the_command_line_overrides_the_file_and_adds_rules() {
    let text =
        format!("workers = 2\ndrain = 5\n[log]\nlevel = 'warn'\n[defaults]\nbacklog = 9\n{RULE}");
    let config = config(
        &text,
        &["--workers", "3", "--log-format", "json", "81", "b:1", "--rate", "1KiB"],
        None,
    );
    assert_eq!((config.workers, config.drain.as_secs()), (3, 5));
    assert_eq!(format!("{:?}", config.log), "Log { format: Json, level: Warn, file: None }");
    assert_eq!(config.rules.len(), 2);
    assert_eq!((config.rules[0].backlog, config.rules[1].backlog), (9, 4096));
    assert_eq!(config.rules[0].rate, None);
    assert_eq!(config.rules[1].rate, Some(1024));
}

#[test]
fn a_wrong_file_is_exit_code_1_and_a_wrong_command_line_2() {
    assert_eq!(
        refused(&format!("{RULE}backlog = 0\n"), &["81", "b:1"]),
        (1, "f.toml:4:11: '0' is too little: write at least 1".into())
    );
    assert_eq!(refused("workers = 'x'\n", &[]).0, 1);
    assert_eq!(
        refused(RULE, &["81", "b:1", "--unix-mode", "0600"]),
        (2, "--unix-mode: only a Unix socket has permissions and an owner: remove this for rules that listen on a port".into())
    );
    assert_eq!(
        refused(RULE, &["80", "b:1"]),
        (2, "rule '127.0.0.1:80=b:1': 127.0.0.1:80 is taken by rule '127.0.0.1:80': choose another address or port".into())
    );
}

#[test]
fn a_mistake_is_located_where_the_value_comes_from() {
    let text = format!("handover = ''\n{RULE}");
    let no_path = "this is no path for a Unix socket: write one of 1 to 107 bytes";
    assert_eq!(refused(&text, &[]), (1, format!("f.toml:1:12: {no_path}")));
    let long = "x".repeat(108);
    assert_eq!(refused(&text, &["--handover", &long]), (2, format!("--handover: {no_path}")));
    config(&text, &["--handover", "/run/x"], None);
}

#[test]
fn options_for_rules_without_such_a_rule_are_refused() {
    assert_eq!(
        refused(RULE, &["--connect-timeout", "1s"]),
        (2, "--connect-timeout is for rules on the command line, and there are none: write connect_timeout in the file's [defaults]".into())
    );
}

#[test]
fn a_reload_reads_the_file_again_and_keeps_the_command_line() {
    let folder = folder(RULE);
    let Ok(Command::Run { config, source }) =
        command(&folder, &["81", "b:1", "--workers", "2"], None)
    else {
        panic!("refused");
    };
    let path = folder.path().join("f.toml");
    assert_eq!(source.file(), Some(path.as_path()));
    assert_eq!(source.load(), Ok(config.clone()));

    fs::write(&path, RULE.replace("a:1", "c:1")).unwrap();
    let changed = source.load().unwrap();
    assert_ne!(changed.rules[0], config.rules[0]);
    assert_eq!(changed.rules[1], config.rules[1]);
    assert_eq!(changed.workers, 2);

    fs::write(&path, format!("{RULE}x = 1\n")).unwrap();
    let error = source.load().unwrap_err().to_string();
    assert!(error.starts_with(&format!("{}:4:1: unknown key 'x'", path.display())), "{error}");
    fs::write(&path, "").unwrap();
    assert_eq!(source.load().map(|config| config.rules.len()), Ok(1));
    fs::remove_file(&path).unwrap();
    assert!(source.load().is_err());
}

#[test]
fn a_token_comes_from_the_command_line_s_file_then_the_file_then_the_environment() {
    let tokens = Folder::new();
    let token_file = tokens.path().join("token");
    fs::write(&token_file, "from-the-token-file\n").unwrap();
    let token_file = token_file.display().to_string();
    let token = |text: &str, arguments: &[&str], environment: Option<&str>| {
        config(text, arguments, environment).status.unwrap().token
    };
    let own = format!("[status]\nlisten = '*:8081'\ntoken = 'from-the-file'\n{RULE}");
    let without = format!("[status]\nlisten = '8081'\n{RULE}");
    let environment = Some("from-the-environment");
    let option = ["--status-token-file", token_file.as_str()];
    assert_eq!(token(&own, &option, environment).as_deref(), Some("from-the-token-file"));
    assert_eq!(token(&own, &[], environment).as_deref(), Some("from-the-file"));
    assert_eq!(token(&without, &[], environment).as_deref(), environment);
    assert_eq!(token(&without, &[], None), None);
    assert_eq!(config(RULE, &[], environment).status, None);
}

#[test]
fn a_wrong_token_in_the_environment_is_named_but_not_shown() {
    let folder = folder(RULE);
    let usage = command(&folder, &["--status", "8081"], Some("hunter2")).unwrap_err();
    assert_eq!(
        usage.to_string(),
        "--status: FORWARDER_STATUS_TOKEN is shorter than 8 characters, which can be guessed: make one \
         with 'openssl rand -hex 16'"
    );
    let Ok(Command::Run { config, source }) =
        command(&folder, &["--status", "8081"], Some("correct-horse"))
    else {
        panic!("refused");
    };
    assert!(!format!("{config:?} {source:?}").contains("horse"));
}

#[test]
fn a_public_page_needs_no_token() {
    let config = config(RULE, &["--status", "*:8081", "--status-public"], None);
    assert!(config.status.unwrap().public);
}

#[test]
fn an_option_without_its_value_is_true_and_false_overrides_the_file() {
    let text =
        format!("reload_on_change = true\n[status]\nlisten = '*:8081'\npublic = true\n{RULE}");
    assert!(config(&text, &[], None).reload_on_change);
    assert!(!config(&text, &["--reload-on-change=false"], None).reload_on_change);
    assert!(config(RULE, &["--reload-on-change"], None).reload_on_change);
    let refused = refused(&text, &["--status-public=false"]);
    assert!(refused.1.contains("can be reached from other machines"), "{refused:?}");
}
