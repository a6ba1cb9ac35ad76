//! Peers that take no bytes: how long they may, and what is told of it.

mod util;

use std::io::{ErrorKind, Write};
use std::net::Shutdown;

use rustix::process::Signal;
use util::folder::Folder;
use util::http::get;
use util::scene::Scene;
use util::stall::{fill, read_rest};
use util::{Forwarder, accept, connect, free_port, target};

#[test]
fn a_side_that_takes_nothing_for_the_send_timeout_has_both_reset() {
    for (name, reason) in [("client", "client_stalled"), ("target", "target_stalled")] {
        let scene = Scene::new(&["--send-timeout", "4s"]);
        let (mut client, mut server) = scene.open();
        let (sender, reader) = match name {
            "client" => (&mut server, &mut client),
            _ => (&mut client, &mut server),
        };
        let sent = fill(&scene, sender);
        scene.forwarder.wait_for(&format!("ending=the {name} took no bytes for 4s"));
        assert_eq!(read_rest(sender), (0, Some(ErrorKind::ConnectionReset)));
        let (read, failure) = read_rest(reader);
        assert_eq!(failure, Some(ErrorKind::ConnectionReset), "an end after a part");
        assert!(read < sent);
        let report = scene.wait_until(|report| report["open"] == 0);
        let ended = report["rules"][0]["ended"].as_array().expect("counts").clone();
        assert!(ended.iter().any(|it| it["reason"] == reason && it["count"] == 1), "{ended:?}");
        let metrics = get(scene.page, "/metrics").body;
        assert!(metrics.contains(&format!(r#"reason="{reason}"}} 1"#)), "{metrics}");
    }
}

#[test]
fn a_client_that_has_ended_its_half_is_reset_when_the_target_stalls() {
    let scene = Scene::new(&["--send-timeout", "4s"]);
    let (mut client, mut server) = scene.open();
    fill(&scene, &client);
    client.shutdown(Shutdown::Write).expect("an end");
    scene.forwarder.wait_for("ending=the target took no bytes for 4s");
    for end in [&mut client, &mut server] {
        assert_eq!(read_rest(end).1, Some(ErrorKind::ConnectionReset));
    }
}

#[test]
fn a_part_of_an_answer_is_never_ended_in_good_order_when_the_connection_is_idle() {
    let scene = Scene::new(&["--idle-timeout", "300ms"]);
    let (mut client, mut server) = scene.open();
    client.write_all(b"question").expect("sent");
    client.shutdown(Shutdown::Write).expect("an end");
    assert_eq!(read_rest(&mut server), (8, None));
    server.write_all(b"a part of the answ").expect("sent");
    assert_eq!(read_rest(&mut client), (18, Some(ErrorKind::ConnectionReset)));
    scene.forwarder.wait_for("ending=idle for too long");
}

#[cfg(target_os = "linux")]
#[test]
fn tcp_gives_a_side_up_after_the_user_timeout() {
    for name in ["client", "target"] {
        let scene = Scene::new(&["--user-timeout", "4s"]);
        let (mut client, mut server) = scene.open();
        let sender = if name == "client" { &mut server } else { &mut client };
        fill(&scene, sender);
        scene.forwarder.wait_for(&format!("ending=TCP gave the {name} up"));
        assert_eq!(read_rest(sender), (0, Some(ErrorKind::ConnectionReset)));
    }
}

#[test]
fn a_limit_that_a_reload_sets_is_for_new_connections() {
    let (listener, addr) = target();
    let (page, port) = (free_port(), free_port());
    let folder = Folder::new("stalls");
    let config = |more: &str| {
        let rule = format!("[[rule]]\nlisten = \"{port}\"\ntargets = [\"{addr}\"]\n{more}");
        folder.write("conf.toml", format!("[status]\nlisten = \"{page}\"\n{rule}"))
    };
    let forwarder = Forwarder::start(&["--config", &config("")]);
    let scene = Scene { forwarder, page, port, listener };
    let (before, _server) = scene.open();
    fill(&scene, &before);
    config("send_timeout = \"200ms\"\n");
    scene.forwarder.signal(Signal::HUP);
    scene.forwarder.wait_for("reloaded");
    // The one before has stalled for longer, and stays.
    for _ in 0..3 {
        let client = connect(port);
        let _server = accept(&scene.listener);
        client.set_nonblocking(true).expect("an option");
        while (&mut &client).write(&[0; 65536]).is_ok() {}
        client.set_nonblocking(false).expect("an option");
        let mut client = client;
        assert_eq!(read_rest(&mut client).1, Some(ErrorKind::ConnectionReset));
    }
    scene.wait_until(|report| report["open"] == 1);
}
