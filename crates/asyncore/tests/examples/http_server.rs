//! The HTTP server's responses to valid requests.

use std::io::Write;
use std::net::Shutdown;
use std::net::TcpListener;

use crate::http::{Answer, Dialogue, Site, ask};
use crate::process::{Server, example};

#[test]
fn http_server_serves_files_with_their_type_and_length() {
    let site = Site::new("files");
    let server = site.serve();
    let mut dialogue = Dialogue::new(&server);
    let large = dialogue.get("/large.bin");
    assert_eq!(large.status, 200);
    assert_eq!(large.header("Content-Type"), Some("application/octet-stream"));
    assert!(large.body == site.large, "the file is not what arrived");
    let small = dialogue.get("/small.txt?query=ignored");
    assert_eq!((small.status, small.text().as_str()), (200, "small"));
    assert_eq!(small.header("Content-Type"), Some("text/plain; charset=utf-8"));
    assert!(small.header("Date").is_some_and(|date| date.ends_with(" GMT")));
    let empty = dialogue.get("/empty.css");
    assert_eq!((empty.status, empty.header("Content-Length")), (200, Some("0")));
    assert_eq!(dialogue.get("http://test/small.txt").text(), "small");
    assert_eq!(dialogue.get("/inside").text(), "small");
    assert_eq!(dialogue.get("/missing").status, 404);
}

#[test]
fn http_server_answers_head_without_a_body() {
    let site = Site::new("head");
    let server = site.serve();
    let mut dialogue = Dialogue::new(&server);
    for path in ["/large.bin", "/missing"] {
        dialogue.send(format!("HEAD {path} HTTP/1.1\r\nHost: test\r\n\r\n"));
        let head = dialogue.head();
        let get = dialogue.get(path);
        assert_eq!(head.status, get.status);
        for name in ["Content-Type", "Content-Length"] {
            assert_eq!(head.header(name), get.header(name));
        }
    }
}

#[test]
fn http_server_serves_index_html_and_redirects_directories() {
    let site = Site::new("index");
    let server = site.serve();
    let mut dialogue = Dialogue::new(&server);
    assert_eq!(dialogue.get("/").text(), "<h1>home</h1>");
    assert_eq!(dialogue.get("/sub%20dir/").text(), "<h1>sub</h1>");
    let redirect = dialogue.get("/sub%20dir?a=b");
    assert_eq!((redirect.status, redirect.header("Location")), (301, Some("/sub%20dir/?a=b")));
    // A location with two leading slashes would refer to another host.
    let redirect = dialogue.get("//sub%20dir");
    assert_eq!((redirect.status, redirect.header("Location")), (301, Some("/sub%20dir/")));
    assert_eq!(dialogue.get("/bare/").status, 404);
    assert_eq!(dialogue.get("/small.txt/").status, 404);
}

#[test]
fn http_server_does_not_serve_paths_outside_its_directory() {
    let site = Site::new("outside");
    let server = site.serve();
    let mut dialogue = Dialogue::new(&server);
    let secret = site.root().join("../secret.txt");
    let absolute = secret.canonicalize().unwrap();
    for path in [
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/..%2fsecret.txt",
        "/%2E%2E%2Fsecret.txt",
        "/sub%20dir/../../secret.txt",
        "/./%2e./secret.txt",
        "/outside",
        "/up/secret.txt",
        "/up/",
        "/itself",
        "/small.txt%00",
        "/small.txt%00.html",
        &format!("/{}", absolute.display()),
        &format!("/%2f{}", absolute.display()),
        "http://test/../secret.txt",
    ] {
        let answer = dialogue.get(path);
        assert_eq!((answer.status, answer.text().contains("secret")), (404, false), "{path}");
    }
    let long = format!("/{}", "a".repeat(8_000));
    assert_eq!(dialogue.get(&long).status, 404);
    assert_eq!(dialogue.get("secret.txt").status, 400);
}

fn post(form: &str) -> String {
    let length = form.len();
    format!(
        "POST /form HTTP/1.1\r\nHost: test\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: {length}\r\n\r\n{form}"
    )
}

#[test]
fn http_server_echoes_a_form_as_json() {
    let site = Site::new("form");
    let server = site.serve();
    let mut dialogue = Dialogue::new(&server);
    for (form, json) in [
        ("a=1&b=two+words", r#"{"a":"1","b":"two words"}"#),
        ("q=%22%5C%0A%C3%BC", r#"{"q":"\"\\\nü"}"#),
        ("x=1&x=2&x=3&y", r#"{"x":["1","2","3"],"y":""}"#),
        ("", "{}"),
    ] {
        dialogue.send(post(form));
        let answer = dialogue.answer();
        assert_eq!((answer.status, answer.text().trim()), (200, json), "{form}");
        assert_eq!(answer.header("Content-Type"), Some("application/json"));
    }
    dialogue.send("POST / HTTP/1.1\r\nHost: test\r\n\r\n");
    assert_eq!(dialogue.answer().text(), "{}\n");
    dialogue.send(post("a=1").replace("x-www-form-urlencoded", "json"));
    assert_eq!(dialogue.answer().status, 415);
}

fn connection(answer: &Answer) -> Option<&str> {
    answer.header("Connection")
}

#[test]
fn http_server_follows_the_connection_header_and_version() {
    let site = Site::new("keep");
    let server = site.serve();
    let mut dialogue = Dialogue::new(&server);
    assert_eq!(connection(&dialogue.get("/small.txt")), None);
    dialogue.send("GET /small.txt HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n");
    assert_eq!(connection(&dialogue.answer()), Some("keep-alive"));
    assert_eq!(dialogue.get("/missing").status, 404);
    dialogue.send("DELETE /small.txt HTTP/1.1\r\nHost: test\r\nContent-Length: 3\r\n\r\nabc");
    let refused = dialogue.answer();
    assert_eq!((refused.status, refused.header("Allow")), (405, Some("GET, HEAD, POST")));
    dialogue.send("BREW / HTTP/1.1\r\nHost: test\r\n\r\n");
    assert_eq!(dialogue.answer().status, 501);
    dialogue.send("GET / HTTP/1.1\r\nHost: test\r\nConnection: upgrade, close\r\n\r\n");
    assert_eq!(connection(&dialogue.answer()), Some("close"));
    dialogue.assert_ended();

    let mut dialogue = Dialogue::new(&server);
    dialogue.send("GET / HTTP/1.0\r\n\r\n");
    assert_eq!(connection(&dialogue.answer()), Some("close"));
    dialogue.assert_ended();
}

#[test]
fn http_server_serves_pipelined_requests_in_order() {
    let site = Site::new("pipeline");
    let server = site.serve();
    let mut dialogue = Dialogue::new(&server);
    let mut requests = String::new();
    for number in 0..500 {
        requests.push_str(&post(&format!("number={number}")));
        if number % 100 == 0 {
            requests.push_str("GET /large.bin HTTP/1.1\r\nHost: test\r\n\r\n");
        }
    }
    let mut stream = dialogue.stream().try_clone().unwrap();
    let writer = std::thread::spawn(move || {
        stream.write_all(requests.as_bytes()).unwrap();
        // Earlier requests are still answered.
        stream.shutdown(Shutdown::Write).unwrap();
    });
    for number in 0..500 {
        assert_eq!(dialogue.answer().text(), format!("{{\"number\":\"{number}\"}}\n"));
        if number % 100 == 0 {
            assert!(dialogue.answer().body == site.large);
        }
    }
    dialogue.assert_ended();
    writer.join().unwrap();
}

#[test]
fn http_server_ignores_input_after_the_last_request() {
    let site = Site::new("over");
    let server = site.serve();
    let mut dialogue = Dialogue::new(&server);
    dialogue
        .send("GET /small.txt HTTP/1.0\r\n\r\nGET /index.html HTTP/1.1\r\nHost: a\r\n\r\n\x00\r\n");
    assert_eq!(dialogue.answer().text(), "small");
    dialogue.assert_ended();
}

#[test]
fn http_server_reads_a_request_byte_by_byte() {
    let site = Site::new("bytes");
    let server = site.serve();
    let mut dialogue = Dialogue::new(&server);
    dialogue.stream().set_nodelay(true).unwrap();
    // The server ignores an empty line before a request.
    for byte in format!("\r\n\r\n{}{}", post("a=1"), post("b=2")).bytes() {
        dialogue.send([byte]);
    }
    assert_eq!(dialogue.answer().text(), "{\"a\":\"1\"}\n");
    assert_eq!(dialogue.answer().text(), "{\"b\":\"2\"}\n");
}

#[test]
fn http_server_sends_100_continue() {
    let site = Site::new("continue");
    let server = site.serve();
    let mut dialogue = Dialogue::new(&server);
    let request =
        "POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n";
    dialogue.send(request);
    assert_eq!(dialogue.head().status, 100);
    dialogue.send("a=1");
    assert_eq!(dialogue.answer().text(), "{\"a\":\"1\"}\n");
    // The response to the previous request arrives first.
    dialogue.send(format!("GET /large.bin HTTP/1.1\r\nHost: test\r\n\r\n{request}"));
    assert!(dialogue.answer().body == site.large);
    assert_eq!(dialogue.head().status, 100);
    dialogue.send("b=2");
    assert_eq!(dialogue.answer().text(), "{\"b\":\"2\"}\n");
}

#[test]
fn http_server_without_arguments_serves_its_counters() {
    // If this fails, another program has the port. Either way the server finds it taken.
    let _taken = TcpListener::bind("127.0.0.1:8080");
    let server = Server::start_command(&mut example("http_server"));
    assert_ne!(server.addr.port(), 8080);
    let line = server.process.stderr.next();
    assert!(line.starts_with("port 8080 is in use"), "{line}");
    let line = server.process.stdout.next();
    assert!(line.contains(&format!("http://{}/", server.addr)), "{line}");

    let mut dialogue = Dialogue::new(&server);
    let page = dialogue.get("/");
    assert_eq!(page.header("Content-Type"), Some("text/html; charset=utf-8"));
    let page = page.text();
    assert!(page.starts_with("<!DOCTYPE html>") && page.contains("/stats.json"));
    assert!(!page.contains("http://") && !page.contains("https://"), "an outside resource");
    assert_eq!(dialogue.get("/elsewhere").status, 404);

    let mut stats = || -> serde_json::Value {
        let answer = dialogue.get("/stats.json");
        assert_eq!(answer.header("Cache-Control"), Some("no-store"));
        serde_json::from_slice(&answer.body).expect("JSON")
    };
    let (before, _other, after) = (stats(), ask(&server, "GET / HTTP/1.0\r\n\r\n"), stats());
    let counted = |name: &str| (before[name].as_u64().unwrap(), after[name].as_u64().unwrap());
    assert_eq!(counted("accepted"), (1, 2));
    for name in ["passes", "events", "bytes_in", "bytes_out", "opened"] {
        let (before, after) = counted(name);
        assert!(before < after, "{name}: {before}, then {after}");
    }
    assert_eq!(counted("errors"), (0, 0));
    let listed = before["listed"].as_array().unwrap();
    assert_eq!((before["channels"].as_u64(), listed.len()), (Some(2), 2));
    let channel = listed[0]["channel"].as_str().unwrap();
    assert!(channel.ends_with(&format!("::Server listening {} #1v3>", server.addr)), "{channel}");
}
