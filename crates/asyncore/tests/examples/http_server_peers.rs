//! The HTTP server with external clients.

use crate::http::Site;
use crate::peers::{CURL, PYTHON, curl, python};
use crate::process::run_command;
use test_needs::needs;

#[test]
fn curl_gets_files_and_follows_a_redirect_on_one_connection() {
    needs!(CURL);
    let site = Site::new("curl-get");
    let server = site.serve();
    let root = format!("http://{}", server.addr);
    let (large, sub) = (format!("{root}/large.bin"), format!("{root}/sub%20dir"));
    let format = "%{http_code} %{num_connects}\n";
    let mut command = curl(&["--fail", "--output", "/dev/null", &large]);
    command.args(["--location", "--output", "-", "--write-out", format, &sub]);
    let ended = run_command(&mut command);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let output = String::from_utf8_lossy(&ended.stdout);
    assert!(output.contains("<h1>sub</h1>200 0\n"), "{output}");

    let mut command = curl(&["--fail", &large]);
    assert!(run_command(&mut command).stdout == site.large);
}

#[test]
fn curl_posts_a_form_and_gets_json() {
    needs!(CURL);
    let site = Site::new("curl-post");
    let server = site.serve();
    let url = format!("http://{}/form", server.addr);
    let field = format!("large={}", "x".repeat(100_000));
    let args = [
        "--data-urlencode",
        "text=a & \"b\"",
        "--data",
        &field,
        "--header",
        "Expect: 100-continue",
        &url,
    ];
    let mut command = curl(&args);
    let ended = run_command(&mut command);
    let json: serde_json::Value = serde_json::from_slice(&ended.stdout).expect("JSON");
    assert_eq!(json["text"], "a & \"b\"");
    assert_eq!(json["large"].as_str().map(str::len), Some(100_000));
}

#[test]
fn pythons_asyncore_gets_a_file() {
    needs!(PYTHON);
    let site = Site::new("python-get");
    let server = site.serve();
    let port = server.addr.port().to_string();
    let mut command = python("http_client.py", &[&port, "/large.bin"]);
    let ended = run_command(&mut command);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let end = ended.stdout.windows(4).position(|window| window == b"\r\n\r\n").expect("headers");
    assert!(ended.stdout[end + 4..] == site.large);
}
