//! The status page's answers.

mod util;

use std::io::{ErrorKind, Read};
use std::net::UdpSocket;

use rustix::process::Signal;
use serde_json::Value;
use util::http::{ask, get};
use util::scene::{Scene, TOKEN, TokenFile, exchange};
use util::{Forwarder, PATIENCE, accept, connect, free_port, target};

#[test]
fn a_connection_is_told_with_its_bytes_while_it_is_open_and_counted_when_it_has_ended() {
    let scene = Scene::new(&["--workers", "2"]);
    let (mut client, mut server) = scene.open();
    exchange(&mut client, &mut server, 1000, 3000);
    let report = scene.report();
    let [connection] = report["connections"].as_array().unwrap().as_slice() else {
        panic!("one connection: {report:#}");
    };
    assert_eq!(connection["client"], client.local_addr().unwrap().to_string());
    assert_eq!(connection["target"], scene.listener.local_addr().unwrap().to_string());
    assert_eq!((&connection["bytes_up"], &connection["bytes_down"]), (&1000.into(), &3000.into()));
    assert_eq!(connection["state"], "open");
    assert_eq!((&report["open"], &report["total"]["bytes_up"]), (&1.into(), &1000.into()));
    let target = &report["rules"][0]["targets"][0];
    assert_eq!((&target["bytes_down"], &target["active"]), (&3000.into(), &1.into()));
    assert_eq!(target["health"], "up");

    drop((client, server));
    // A connection may end between the workers' answers and the report that is made of them.
    let report = scene.wait_until(|report| {
        report["open"] == 0 && report["connections"].as_array().is_some_and(Vec::is_empty)
    });
    assert_eq!(report["total"]["bytes_down"], 3000);
    assert_eq!(report["rules"][0]["accepted"], 1);
    assert!(report["workers"].as_array().unwrap().iter().all(|worker| worker["answers"] == true));
}

#[test]
fn that_clients_wait_for_a_place_is_told_and_is_no_refusal() {
    let scene = Scene::new(&["--max-connections", "1"]);
    let _open = scene.open();
    let _waits = connect(scene.port);
    let report = scene.wait_until(|report| {
        let waits = report["rules"][0]["waits"].as_array().unwrap();
        waits.iter().any(|it| it["reason"] == "rule_limit" && it["count"] == 1)
    });
    assert_eq!((&report["open"], &report["total"]["refused"]), (&1.into(), &0.into()));
}

#[test]
fn datagrams_are_told_like_connections() {
    let target = UdpSocket::bind("127.0.0.1:0").unwrap();
    let (page, port) = (free_port(), free_port());
    let rule = format!("udp:{port}={}", target.local_addr().unwrap());
    let _forwarder = Forwarder::start(&["--rule", &rule, "--status", &page.to_string()]);
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    target.set_read_timeout(Some(PATIENCE)).unwrap();
    client.connect(port).unwrap();
    client.send(b"hello").unwrap();
    target.recv(&mut [0; 16]).unwrap();
    let report = get(page, "/status.json").json();
    let connection = &report["connections"][0];
    assert_eq!(connection["client"], client.local_addr().unwrap().to_string());
    assert_eq!((&connection["bytes_up"], &connection["bytes_down"]), (&5.into(), &0.into()));
}

#[test]
fn a_udp_session_is_ended_like_a_connection() {
    let target = UdpSocket::bind("127.0.0.1:0").unwrap();
    target.set_read_timeout(Some(PATIENCE)).unwrap();
    let (page, port) = (free_port(), free_port());
    let rule = format!("udp:{port}={}", target.local_addr().unwrap());
    let file = TokenFile::new("end-udp");
    let args = ["--rule", &rule, "--status", &page.to_string(), "--status-token-file", file.arg()];
    let forwarder = Forwarder::start(&args);
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.send_to(b"hello", port).unwrap();
    target.recv(&mut [0; 16]).unwrap();
    let report = get(page, "/status.json").json();
    let path = format!("/connections/{}/end", report["connections"][0]["id"].as_str().unwrap());
    let bearer = format!("Bearer {TOKEN}");
    assert_eq!(ask(page, "POST", &path, &[("Authorization", &bearer)], "").status, 200);
    forwarder.wait_for("ended by the operator");
    assert_eq!(get(page, "/status.json").json()["open"], 0);
}

#[test]
fn the_first_connections_by_any_order_are_listed_and_the_rest_counted() {
    let scene = Scene::new(&["--workers", "2"]);
    let mut pairs: Vec<_> = (0..5).map(|_| scene.open()).collect();
    for (index, (client, server)) in pairs.iter_mut().enumerate() {
        exchange(client, server, 10 * (index + 1), 1);
    }
    let list = |query: &str| {
        let report = get(scene.page, &format!("/status.json?{query}")).json();
        let up = |it: &Value| it["bytes_up"].as_u64().unwrap();
        let listed = report["connections"].as_array().unwrap().iter().map(up).collect::<Vec<_>>();
        (listed, report["connections_left_out"].as_u64().unwrap())
    };
    assert_eq!(list("sort=bytes_up&limit=2"), (vec![50, 40], 3));
    assert_eq!(list("sort=bytes_up&order=ascending"), (vec![10, 20, 30, 40, 50], 0));
    assert_eq!(list("limit=0"), (vec![], 5));
    assert_eq!(get(scene.page, "/status.json?sort=colour").status, 400);
}

#[test]
fn metrics_have_the_same_numbers() {
    let scene = Scene::new(&[]);
    let (mut client, mut server) = scene.open();
    exchange(&mut client, &mut server, 7, 9);
    let answer = get(scene.page, "/metrics");
    assert!(answer.head.contains("Content-Type: text/plain; version=0.0.4"));
    let target = format!("target=\"{}\"", scene.listener.local_addr().unwrap());
    let bytes =
        |line: &&str| line.starts_with("forwarder_target_bytes_total") && line.contains(&target);
    let bytes: Vec<_> = answer.body.lines().filter(bytes).collect();
    assert!(bytes[0].ends_with("direction=\"up\"} 7"), "{bytes:?}");
    assert!(bytes[1].ends_with("direction=\"down\"} 9"), "{bytes:?}");
    assert!(answer.body.contains("\nforwarder_open_connections 1\n"));
}

#[test]
fn the_page_is_whole_without_anything_from_elsewhere() {
    let scene = Scene::new(&[]);
    let page = get(scene.page, "/");
    assert!(page.status == 200 && page.head.contains("text/html"));
    let mut wanted: Vec<String> = vec![page.body.clone()];
    let mut seen = vec!["/".to_owned()];
    while let Some(text) = wanted.pop() {
        assert!(!text.contains("https://") && !text.contains("//cdn"), "{text}");
        let quoted = text.split(['"', '\'']).filter(|it| it.starts_with('/') && it.contains('.'));
        for path in quoted.filter(|it| !it.contains(['?', '$', ' '])) {
            if !seen.iter().any(|it| it == path) {
                seen.push(path.to_owned());
                let answer = get(scene.page, path);
                assert_eq!(answer.status, 200, "{path}");
                wanted.push(answer.body);
            }
        }
    }
    assert!(seen.len() >= 10, "{seen:?}");
    let head = ask(scene.page, "HEAD", "/", &[], "");
    assert_eq!((head.status, head.body.as_str()), (200, ""));
}

#[test]
fn what_is_not_there_or_not_so_is_refused() {
    let scene = Scene::new(&[]);
    for path in
        ["/nothing", "/../etc/passwd", "/%2e%2e/", "/%ff", "/connections/0-1v1", "//", "/rules"]
    {
        assert_eq!(get(scene.page, path).status, 404, "{path}");
    }
    let answer = ask(scene.page, "DELETE", "/status.json", &[], "");
    assert!(
        answer.status == 405 && answer.head.contains("\r\nAllow: GET, HEAD"),
        "{}",
        answer.head
    );
    let answer = get(scene.page, "/connections/0-1v1/end");
    assert!(answer.status == 405 && answer.head.contains("\r\nAllow: POST"), "{}", answer.head);
}

#[test]
fn another_name_for_this_machine_is_told_nothing() {
    let scene = Scene::new(&[]);
    let host = [("Host", "evil.example")];
    for path in ["/status.json", "/metrics"] {
        let answer = ask(scene.page, "GET", path, &host, "");
        assert!(answer.status == 421 && !answer.body.contains("127.0.0.1"), "{}", answer.body);
    }
    // Probes come by whatever name they were told, and learn nothing.
    assert_eq!(ask(scene.page, "GET", "/healthz", &host, "").status, 200);
    assert_eq!(ask(scene.page, "GET", "/readyz", &host, "").status, 200);
}

#[test]
fn without_a_token_nobody_ends_anything() {
    let scene = Scene::new(&[]);
    let (mut client, mut server) = scene.open();
    let report = scene.report();
    assert_eq!(report["actions"], false);
    let id = report["connections"][0]["id"].as_str().unwrap().to_owned();
    let (status, why) = scene.post(&format!("/connections/{id}/end"), TOKEN);
    assert!(status == 403 && why.contains("--status-token-file"), "{status} {why}");
    exchange(&mut client, &mut server, 1, 1);
}

#[test]
fn with_the_token_one_connection_is_ended_and_the_others_go_on() {
    let file = TokenFile::new("end");
    let scene = Scene::new(&["--workers", "2", "--status-token-file", file.arg()]);
    let mut pairs: Vec<_> = (0..4).map(|_| scene.open()).collect();
    let (mut client, mut server) = pairs.swap_remove(2);
    let own = client.local_addr().unwrap().to_string();
    let report = scene.report();
    assert_eq!(report["actions"], true);
    let mut connections = report["connections"].as_array().unwrap().iter();
    let id = connections.find(|it| it["client"] == own).expect("listed")["id"].as_str().unwrap();
    let path = format!("/connections/{id}/end");

    assert_eq!(ask(scene.page, "POST", &path, &[], "").status, 401);
    assert_eq!(scene.post(&path, "another-token").0, 401);
    exchange(&mut client, &mut server, 1, 1);
    assert_eq!(scene.post(&path, TOKEN).0, 200);
    for end in [&mut client, &mut server] {
        assert_eq!(end.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    }
    let line = scene.forwarder.wait_for("ended by the operator");
    assert!(line.contains(&own) && !line.contains(TOKEN), "{line}");
    assert_eq!(scene.post(&path, TOKEN).0, 404);
    for (client, server) in &mut pairs {
        exchange(client, server, 1, 1);
    }
}

#[test]
fn a_drained_target_keeps_what_it_has_and_gets_nothing_new_until_it_is_taken_back() {
    let file = TokenFile::new("drain");
    let (first, second) = (target(), target());
    let (page, port) = (free_port(), free_port());
    let rule = format!("{port}={},{}", first.1, second.1);
    let args = ["--rule", &rule, "--balance", "first", "--status", &page.to_string()];
    let _forwarder = Forwarder::start(&[&args[..], &["--status-token-file", file.arg()]].concat());
    let post = |path: &str, token: &str| {
        ask(page, "POST", path, &[("Authorization", &format!("Bearer {token}"))], "").status
    };
    let of = |index: usize, verb: &str| {
        format!("/rules/{}/targets/{index}/{verb}", port.to_string().replace(':', "%3A"))
    };
    let mut old = (connect(port), accept(&first.0));
    assert_eq!(post(&of(0, "drain"), "not-the-token"), 401);
    assert_eq!(post(&of(2, "drain"), TOKEN), 404);
    assert_eq!(post("/rules/other/targets/0/drain", TOKEN), 404);
    assert_eq!(post(&of(0, "drain"), TOKEN), 200);
    assert_eq!(get(page, "/status.json").json()["rules"][0]["targets"][0]["drained"], true);
    let mut new = (connect(port), accept(&second.0));
    exchange(&mut old.0, &mut old.1, 1, 1);
    exchange(&mut new.0, &mut new.1, 1, 1);
    assert_eq!(post(&of(0, "undrain"), TOKEN), 200);
    let mut newest = (connect(port), accept(&first.0));
    exchange(&mut newest.0, &mut newest.1, 1, 1);
}

#[test]
fn a_targets_last_error_says_why_and_not_where_once_more() {
    let (page, port, dead) = (free_port(), free_port(), free_port());
    let (page_arg, rule) = (page.to_string(), format!("{port}={dead}"));
    let _forwarder = Forwarder::start(&["--rule", &rule, "--status", &page_arg]);
    let refused = connect(port).read(&mut [0]).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionReset);
    let report = get(page, "/status.json").json();
    let target = &report["rules"][0]["targets"][0];
    assert_eq!((&target["failures"], &target["health"]), (&1.into(), &"backing off".into()));
    let why = target["last_error"]["text"].as_str().unwrap();
    assert!(why.starts_with("Connection refused"), "{why}");
}

#[test]
fn while_it_drains_it_is_alive_and_not_ready_and_the_page_says_so() {
    let scene = Scene::new(&[]);
    let pair = scene.open();
    assert_eq!((get(scene.page, "/healthz").status, get(scene.page, "/readyz").status), (200, 200));
    scene.forwarder.signal(Signal::TERM);
    scene.wait_until(|report| report["draining"] == true && report["open"] == 1);
    assert_eq!((get(scene.page, "/healthz").status, get(scene.page, "/readyz").status), (200, 503));
    drop(pair);
    assert_eq!(scene.forwarder.exit_status().code(), Some(0));
}
