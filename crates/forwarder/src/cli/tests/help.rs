//! What the program says about itself.

use clap::CommandFactory;

use crate::cli::args::Args;
use crate::cli::{Command, text};

use super::{command, printed};

#[test]
fn help_names_each_option_and_says_what_happens_without_it() {
    let (short, long) = (printed(&["-h"]), printed(&["--help"]));
    for option in Args::command().get_arguments() {
        let Some(name) = option.get_long().map(|name| format!("--{name}")) else { continue };
        assert!(short.contains(&name) && long.contains(&name), "{name}");
        let help = option.get_help().map(ToString::to_string).unwrap_or_default();
        let is_clear = ["--rule", "--config", "--check", "--remote-ip"].contains(&name.as_str());
        let has_default = !option.get_default_values().is_empty();
        assert!(is_clear || has_default != help.contains("[default: "), "{name}");
    }
    assert!(short.len() < long.len());
}

#[test]
fn help_has_a_heading_for_each_group_and_ends_with_examples() {
    let long = printed(&["--help"]);
    for heading in [
        "What to forward:",
        "One rule, the classic way:",
        "Process:",
        "Status page:",
        "Log:",
        "Debugging protocols:",
        "Targets of a rule:",
        "Times of a rule:",
        "Limits of a rule:",
        "Access to a rule:",
        "LISTEN is one of:",
        "TARGET is one of:",
        "Examples:",
        "Environment:",
        "Signals:",
        "Exit codes:",
    ] {
        assert!(long.contains(&format!("\n{heading}\n")), "{heading}");
    }
}

#[test]
fn help_fits_into_a_hundred_columns() {
    for text in [text::EXAMPLES, text::SHORT_EXAMPLES, text::USAGE] {
        for line in text.lines() {
            assert!(line.chars().count() <= 100, "{line}");
        }
    }
}

#[test]
fn each_example_of_the_help_is_understood() {
    let examples = text::EXAMPLES.lines().filter_map(|line| line.strip_prefix("  forwarder"));
    let short = text::SHORT_EXAMPLES.lines().filter_map(|line| line.strip_prefix("  forwarder"));
    let short = short.map(|line| line.split("   ").next().unwrap_or_default());
    let mut understood = 0;
    for line in examples.chain(short) {
        let words: Vec<&str> =
            line.split_whitespace().map(|word| word.trim_matches('\'')).collect();
        match command(&words) {
            Ok(Command::Run { .. } | Command::Demo(_)) => {}
            // The file is not there.
            Err(usage) if words.contains(&"--config") => {
                assert_eq!(usage.exit_code(), 1, "{usage}")
            }
            other => panic!("{line}: {other:?}"),
        }
        understood += 1;
    }
    assert_eq!(understood, 13);
}

#[test]
fn the_version_is_the_packages() {
    let version = format!("forwarder {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(printed(&["--version"]), version);
    assert_eq!(printed(&["-V"]), version);
}

#[test]
fn the_man_page_has_each_option() {
    let man = printed(&["man"]);
    assert!(man.contains(".TH forwarder 1"), "{man}");
    let plain = man.replace("\\-", "-");
    for option in Args::command().get_arguments() {
        let Some(name) = option.get_long() else { continue };
        assert!(plain.contains(&format!("--{name}")), "{name}");
    }
}

#[test]
fn completions_know_the_options_of_each_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = printed(&["completions", shell]);
        for word in ["max-connections-per-client", "completions"] {
            assert!(script.contains(word), "{shell} {word}");
        }
        let knows_values = ["bash", "zsh", "fish"].contains(&shell);
        assert_eq!(script.contains("least-connections"), knows_values, "{shell}");
    }
}

#[test]
fn the_schema_is_json() {
    let schema: serde_json::Value = serde_json::from_str(&printed(&["schema"])).unwrap();
    assert_eq!(schema["title"], "forwarder");
}

#[test]
fn the_definition_is_sound() {
    Args::command().debug_assert();
}
