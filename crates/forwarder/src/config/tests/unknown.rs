//! Files with keys and values that nobody knows, and texts that are no files at all.

use super::{RULE, refused};

#[test]
fn an_unknown_key_is_named_with_its_place_and_the_nearest_one() {
    refused(
        &format!("{RULE}conect_timeout = \"1s\"\n"),
        "forwarder.toml:4:1: unknown key 'conect_timeout': did you mean 'connect_timeout'?",
    );
    refused(
        &format!("{RULE}\n  max-connections = 1\n"),
        "forwarder.toml:5:3: unknown key 'max-connections': did you mean 'max_connections'?",
    );
    refused(
        &format!("[status]\nlistn = \"8081\"\n{RULE}"),
        "forwarder.toml:2:1: unknown key 'listn': did you mean 'listen'?",
    );
    refused(
        &format!("[log]\ncolour = true\n{RULE}"),
        "forwarder.toml:2:1: unknown key 'colour': the keys here are 'file', 'format', 'level'",
    );
}

#[test]
fn a_key_in_the_wrong_table_is_told_where_it_belongs() {
    refused(
        &format!("{RULE}workers = 2\n"),
        "forwarder.toml:4:1: unknown key 'workers': 'workers' belongs above the first [table]",
    );
    refused(
        &format!("conect_timeout = \"1s\"\n{RULE}"),
        "forwarder.toml:1:1: unknown key 'conect_timeout': 'connect_timeout' belongs in a [[rule]] or in \
         [defaults]",
    );
    refused(
        &format!("[defaults]\nname = \"web\"\n{RULE}"),
        "forwarder.toml:2:8: name is for one rule and not for all: move it to a [[rule]]",
    );
}

#[test]
fn a_wrong_value_is_named_with_its_place_and_what_to_write() {
    for (line, sentence) in [
        (
            "connect_timeout = \"30x\"",
            "4:19: '30x' is not a length of time: write a number and a unit, such as 500ms, 30s, 5m, 2h or 1d",
        ),
        (
            "idle_timeout = false",
            "4:16: invalid type: boolean `false`, expected a length of time such as \"30s\"",
        ),
        (
            "keepalive = 1.5",
            "4:13: invalid type: floating point `1.5`, expected a length of time such as \"30s\"",
        ),
        ("backlog = -1", "4:11: '-1' is not a count: write a whole number such as 1000"),
        (
            "rate = \"10X\"",
            "4:8: '10X' is not a number of bytes per second: write it as in 500KiB, 10MiB or 1GB, or none",
        ),
        (
            "balance = \"round_robin\"",
            "4:11: unknown variant `round_robin`, expected one of `round-robin`, `least-connections`, `client-hash`, `first`",
        ),
        (
            "balance = \"best\"",
            "4:11: unknown variant `best`, expected one of `round-robin`, `least-connections`, `client-hash`, `first`",
        ),
        ("balance = 3", "4:11: wanted string or table"),
        (
            "unix_mode = 0o660",
            "4:13: invalid type: integer `432`, expected a file mode in quotes, such as \"0660\"",
        ),
        ("name = 3", "4:8: invalid type: integer `3`, expected a string"),
        (
            "allow = \"10.0.0.0/8\"",
            "4:9: this is a text and should be a list: write [\"10.0.0.0/8\"]",
        ),
        (
            "allow = [\"10.0.0.0/8\", \"10.0.0.5/8\"]",
            "4:24: '10.0.0.5/8' has address bits beyond its /8: write 10.0.0.0/8 for the network or 10.0.0.5 for the one address",
        ),
    ] {
        refused(&format!("{RULE}{line}\n"), &format!("forwarder.toml:{sentence}"));
    }
    for (text, sentence) in [
        ("workers = 99999999999\n", "1:11: '99999999999' is too much: write at most 1024"),
        ("log = 3\n", "1:7: this should be a table: write [log]"),
        ("[status]\npublic = \"yes\"\n", "2:10: invalid type: string \"yes\", expected a boolean"),
        (
            "[log]\nlevel = \"inf\"\n",
            "2:9: unknown variant `inf`, expected one of `off`, `error`, `warn`, `info`, `debug`, `trace`",
        ),
        (
            "[rule]\nlisten = \"80\"\n",
            "1:1: a file has a list of rules: write [[rule]], with two brackets",
        ),
        ("rule = 3\n", "1:8: a file has a list of rules: write [[rule]], with two brackets"),
        (
            "[[rule]]\nlisten = true\ntargets = [\"a:1\"]\n",
            "2:10: invalid type: boolean `true`, expected an address to listen on, such as \"127.0.0.1:8080\"",
        ),
        (
            "[[rule]]\nlisten = \"80\"\ntargets = [\"a:1\", \"b\"]\n",
            "3:19: 'b' has no port: write 'b:80'",
        ),
    ] {
        refused(text, &format!("forwarder.toml:{sentence}"));
    }
}

#[test]
fn a_text_that_is_no_toml_is_named_with_the_place_where_it_ends_to_be() {
    refused("x\n", "forwarder.toml:1:2: key with no value, expected `=`");
    refused(
        &format!("{RULE}lifetime = 30s\n"),
        "forwarder.toml:4:12: string values must be quoted, expected literal string",
    );
    refused("workers = 1\nworkers = 2\n", "forwarder.toml:2:1: duplicate key");
}

#[test]
fn columns_are_counted_in_characters() {
    refused(
        "[[rule]]\nlisten = \"80\"\nname = \"é\"\ntargets = [\"é:1\", \"b\"]\n",
        "forwarder.toml:4:12: 'é' in 'é:1' is not a host: write the name in its ASCII form, which begins \
         with xn--",
    );
    refused(
        "[[rule]]\nlisten = \"80\"\ntargets = [ # é\n\"a:1\", \"unix:é\", \"b\"]\n",
        "forwarder.toml:4:18: 'b' has no port: write 'b:80'",
    );
}
