//! Every option that the help names is tested somewhere.

use std::fs;
use std::path::Path;
use std::process::Command;

/// Where each option is given to the program, and what it does is checked.
const TESTED: &[(&str, &str)] = &[
    ("--allow", "limits::who_is_not_allowed_or_denied_is_let_go_at_once"),
    ("--backlog", "limits::the_system_queues_as_many_connections_as_the_backlog_says"),
    ("--balance", "balancing::the_target_with_the_fewest_connections_is_next"),
    ("--capture-max", "capture::the_file_ends_when_it_has_as_many_bytes_as_it_may"),
    ("--check", "process::check_says_what_is_wrong_with_line_and_column_and_starts_nothing"),
    ("--check-every", "balancing::a_target_is_up_again_as_soon_as_a_check_says_so"),
    (
        "--check-expect",
        "balancing::a_target_that_says_something_else_than_expected_is_down_before_a_client_finds_out",
    ),
    ("--check-timeout", "balancing::a_target_that_says_nothing_in_time_is_down"),
    ("--chroot", "privileges::what_cannot_be_become_ends_the_start"),
    ("--config", "endurance::a_thousand_reloads_under_load_fail_no_connection"),
    (
        "--connect-timeout",
        "network::a_target_that_does_not_answer_is_left_for_the_next_after_the_connect_timeout",
    ),
    (
        "--connections-per-second",
        "limits::no_more_connections_a_second_are_taken_than_the_rule_allows",
    ),
    ("--deny", "limits::who_is_not_allowed_or_denied_is_let_go_at_once"),
    (
        "--drain",
        "process::connections_that_are_open_when_the_drain_is_over_are_cut_off_and_the_exit_code_says_so",
    ),
    ("--every", "top::top_asks_as_often_as_it_is_told"),
    ("--group", "privileges::what_cannot_be_become_ends_the_start"),
    ("--handover", "handover::a_new_process_takes_over_without_a_connection_being_refused"),
    (
        "--help",
        "process::help_and_version_are_printed_and_the_man_page_and_completions_know_the_same_options",
    ),
    ("--hexdump", "capture::all_bytes_of_a_stream_both_ways_are_in_the_file"),
    (
        "--idle-timeout",
        "limits::a_connection_that_is_silent_for_the_idle_timeout_is_reset_at_both_ends",
    ),
    (
        "--ipv6-client-prefix",
        "limits::the_addresses_of_an_ipv6_network_are_one_client_unless_told_otherwise",
    ),
    (
        "--keepalive",
        "limits::both_sockets_of_a_connection_are_probed_once_it_was_silent_for_as_long_as_keepalive_says",
    ),
    ("--lifetime", "limits::a_connection_is_ended_when_its_lifetime_is_over_however_busy_it_is"),
    ("--local-ip", "process::the_classic_options_forward_one_port"),
    ("--local-port", "process::the_classic_options_forward_one_port"),
    ("--log-file", "logging::a_renamed_log_file_is_begun_anew_at_sigusr1_and_keeps_its_mode"),
    ("--log-format", "process::each_line_of_the_log_is_an_object_if_it_is_to_be_json"),
    ("--log-level", "process::the_log_has_as_much_as_its_level_says"),
    (
        "--max-connections",
        "limits::clients_over_the_limit_of_their_rule_wait_and_each_is_served_as_soon_as_another_has_ended",
    ),
    (
        "--max-connections-per-client",
        "limits::a_client_address_may_have_so_many_connections_and_another_one_too",
    ),
    (
        "--max-connections-total",
        "endurance::the_limit_of_all_rules_holds_across_workers_and_the_rest_wait_for_their_turn",
    ),
    ("--pcapng", "capture::all_bytes_of_a_stream_both_ways_are_in_the_file"),
    ("--pcapng-filter", "capture::tshark_reads_the_chosen_connections_as_they_were"),
    ("--pid-file", "process::the_pid_file_holds_the_number_of_the_process_while_it_runs"),
    ("--proxy-accept-from", "proxies::the_client_is_known_at_the_end_of_a_chain_of_proxies"),
    ("--proxy-send", "proxies::haproxy_is_told_the_client_in_either_version"),
    ("--rate", "limits::a_rules_bytes_a_second_are_those_of_all_its_connections_both_ways"),
    ("--rate-per-connection", "limits::a_connections_bytes_a_second_are_its_own"),
    ("--reload-on-change", "reload::a_changed_file_is_reloaded_by_itself_also_behind_links"),
    ("--remote-ip", "process::the_classic_options_forward_one_port"),
    ("--remote-port", "process::the_classic_options_forward_one_port"),
    (
        "--resolve-every",
        "balancing::a_name_is_looked_up_again_and_new_connections_go_where_it_leads_now",
    ),
    ("--rule", "forwarding::a_target_that_refuses_is_passed_over_for_the_next"),
    ("--send-timeout", "stalls::a_side_that_takes_nothing_for_the_send_timeout_has_both_reset"),
    ("--status", "status::a_targets_last_error_says_why_and_not_where_once_more"),
    ("--status-public", "network::the_status_page_is_shown_to_other_machines_if_it_is_public"),
    ("--status-token-file", "status::with_the_token_one_connection_is_ended_and_the_others_go_on"),
    ("--udp-session", "limits::a_udp_session_ends_after_its_silence"),
    ("--unix-mode", "privileges::a_unix_socket_gets_its_mode_and_its_owner"),
    ("--unix-owner", "privileges::a_unix_socket_gets_its_mode_and_its_owner"),
    ("--user", "privileges::what_cannot_be_become_ends_the_start"),
    ("--user-timeout", "stalls::tcp_gives_a_side_up_after_the_user_timeout"),
    (
        "--version",
        "process::help_and_version_are_printed_and_the_man_page_and_completions_know_the_same_options",
    ),
    ("--workers", "forwarding::several_workers_share_the_port"),
];

fn help(args: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_forwarder")).args(args).output();
    String::from_utf8(output.expect("the program").stdout).expect("text")
}

/// The long options that a help page explains, and not those that it only mentions.
fn options(help: &str) -> Vec<String> {
    let explained = |line: &str| {
        let line = line.trim_start();
        let long = line.split_once(", --").map_or(line, |(short, _)| &line[short.len() + 2..]);
        let is_one = line.starts_with("--") || (line.starts_with('-') && long.starts_with("--"));
        let name = long.split([' ', '=', '[']).next().filter(|_| is_one)?;
        Some(name.to_owned())
    };
    help.lines().filter(|line| line.starts_with("  ")).filter_map(explained).collect()
}

#[test]
fn every_option_in_the_help_has_a_test_and_every_test_is_there() {
    let mut explained = options(&help(&["--help"]));
    for task in ["top", "completions", "man", "schema"] {
        explained.extend(options(&help(&[task, "--help"])));
    }
    explained.sort();
    explained.dedup();
    let tested: Vec<_> = TESTED.iter().map(|(option, _)| *option).collect();
    assert_eq!(explained, tested);
    for (option, test) in TESTED {
        let (file, name) = test.split_once("::").expect("file::test");
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(file);
        let text = fs::read_to_string(path.with_extension("rs")).expect("a file of tests");
        assert!(text.contains(&format!("#[test]\nfn {name}() {{")), "{option}: there is no {test}");
        let key = option.trim_start_matches('-').replace('-', "_");
        let is_given =
            text.contains(&format!("\"{option}\"")) || text.contains(&format!("{key} = "));
        assert!(is_given, "{option} is never given in {file}");
    }
}
