//! A stream through the program while it is captured: what the file says is what went through.

mod util;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use test_needs::needs;
use util::folder::Folder;
use util::tool::{TSHARK, tool};
use util::{Forwarder, PATIENCE, accept, connect, free_port, pair, read_to_end, target};

/// More than it takes for a stream to be spliced, when it is not captured.
const LENGTH: usize = 512 * 1024;

fn free_addr() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap()
}

fn pattern(seed: u32) -> Vec<u8> {
    let words = (0..LENGTH / 4).map(|at| (at as u32).wrapping_mul(0x9e37_79b1) ^ seed);
    words.flat_map(u32::to_le_bytes).collect()
}

/// All payload that was sent to a port, from the enhanced packet blocks of a pcapng file.
fn payload_to(port: u16, mut file: &[u8]) -> Vec<u8> {
    let word = |bytes: &[u8], at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    let mut payload = Vec::new();
    while !file.is_empty() {
        let (block, rest) = file.split_at(word(file, 4) as usize);
        if word(block, 0) == 6 {
            let tcp = &block[28 + 20..28 + word(block, 20) as usize];
            if tcp[2..4] == port.to_be_bytes() {
                payload.extend_from_slice(&tcp[20..]);
            }
        }
        file = rest;
    }
    payload
}

#[test]
fn all_bytes_of_a_stream_both_ways_are_in_the_file() {
    let target = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let target_addr = target.local_addr().unwrap();
    let addr = free_addr();
    let file = std::env::temp_dir().join(format!("forwarder-{}.pcapng", std::process::id()));
    let mut forwarder = Command::new(env!("CARGO_BIN_EXE_forwarder"))
        .args([addr.to_string(), target_addr.to_string()])
        .args(["--hexdump", "all", "--pcapng"])
        .arg(&file)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut dump = forwarder.stdout.take().unwrap();
    let dumped = std::thread::spawn(move || {
        let mut text = String::new();
        dump.read_to_string(&mut text).unwrap();
        text
    });
    let mut log = BufReader::new(forwarder.stderr.take().unwrap());
    // It listens by the time it says anything.
    log.read_line(&mut String::new()).unwrap();
    std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));

    let echo = std::thread::spawn(move || {
        let (mut peer, _) = target.accept().unwrap();
        let mut received = Vec::new();
        peer.read_to_end(&mut received).unwrap();
        peer.write_all(&pattern(2)).unwrap();
        received
    });
    let mut client = TcpStream::connect(addr).unwrap();
    let client_port = client.local_addr().unwrap().port();
    client.write_all(&pattern(1)).unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).unwrap();
    assert!(answer == pattern(2));
    assert!(echo.join().unwrap() == pattern(1));

    kill_process(Pid::from_child(&forwarder), Signal::TERM).unwrap();
    assert_eq!(forwarder.wait().unwrap().code(), Some(0));
    let written = std::fs::read(&file).unwrap();
    assert!(payload_to(target_addr.port(), &written) == pattern(1));
    assert!(payload_to(client_port, &written) == pattern(2));
    let text = dumped.join().unwrap();
    let lines = text.lines().filter(|line| line.starts_with("  ")).count();
    assert!(lines >= 2 * LENGTH / 16, "{lines} lines");
    std::fs::remove_file(file).unwrap();
}

#[test]
fn tshark_reads_the_chosen_connections_as_they_were() {
    needs!(TSHARK);
    let folder = Folder::new("tshark");
    let file = folder.arg("capture.pcapng");
    let (web, other) = (target(), target());
    let (port, other_port) = (free_port(), free_port());
    let rules = [format!("{port}={}", web.1), format!("{other_port}={}", other.1)];
    let filter = format!("target={}", web.1);
    let args = ["--rule", &rules[0], "--rule", &rules[1], "--pcapng", &file];
    let forwarder = Forwarder::start(&[&args[..], &["--pcapng-filter", &filter]].concat());
    const REQUEST: &[u8] = b"GET /thing HTTP/1.1\r\nHost: example\r\n\r\n";
    let answer = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
    for (listener, port) in [(&other.0, other_port), (&web.0, port)] {
        let mut client = connect(port);
        let mut server = accept(listener);
        client.write_all(REQUEST).unwrap();
        server.read_exact(&mut [0; REQUEST.len()]).unwrap();
        server.write_all(answer).unwrap();
        drop(server);
        assert_eq!(read_to_end(&mut client), answer);
    }
    forwarder.wait_for("ending=");
    forwarder.wait_for("ending=");
    forwarder.signal(Signal::TERM);
    assert!(forwarder.exit_status().success());
    let decode = format!("tcp.port=={},http", web.1.port());
    let fields = ["http.request.uri", "http.response.code", "tcp.flags.fin", "_ws.expert.message"];
    let mut tshark = tool(TSHARK);
    tshark.args(["-r", &file, "-d", &decode, "-T", "fields"]);
    let output = tshark.args(fields.iter().flat_map(|field| ["-e", field])).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let column = |index| {
        let values = text.lines().filter_map(|line| line.split('\t').nth(index));
        values.filter(|it| !it.is_empty()).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!((column(0), column(1)), (vec!["/thing".into()], vec!["404".into()]), "{text}");
    assert_eq!(column(2).iter().filter(|it| *it == "1" || *it == "True").count(), 2, "{text}");
    // Nothing missing, nothing twice, no wrong checksum.
    let notes = column(3).join(" ");
    assert!(
        !notes.contains("lost")
            && !notes.contains("retransmission")
            && !notes.contains("ad checksum"),
        "{text}"
    );
}

#[test]
fn tshark_reads_datagrams_as_datagrams() {
    needs!(TSHARK);
    let folder = Folder::new("tshark-udp");
    let file = folder.arg("capture.pcapng");
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    server.set_read_timeout(Some(PATIENCE)).unwrap();
    let (addr, port) = (server.local_addr().unwrap(), free_port());
    let forwarder = Forwarder::start(&["--rule", &format!("udp:{port}={addr}"), "--pcapng", &file]);
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client.connect(port).unwrap();
    client.send(b"question").unwrap();
    let (_, session) = server.recv_from(&mut [0; 64]).unwrap();
    server.send_to(b"answer", session).unwrap();
    assert_eq!(client.recv(&mut [0; 64]).unwrap(), 6);
    forwarder.signal(Signal::TERM);
    forwarder.wait_for("draining");
    let mut tshark = tool(TSHARK);
    tshark.args(["-r", &file, "-o", "udp.check_checksum:TRUE", "-T", "fields"]);
    for field in ["udp.srcport", "udp.dstport", "udp.checksum.status", "data.data"] {
        tshark.args(["-e", field]);
    }
    let output = tshark.output().unwrap();
    let (own, target) = (client.local_addr().unwrap().port(), addr.port());
    let hex = |bytes: &[u8]| bytes.iter().map(|it| format!("{it:02x}")).collect::<String>();
    let expected = format!(
        "{own}\t{target}\t1\t{}\n{target}\t{own}\t1\t{}\n",
        hex(b"question"),
        hex(b"answer")
    );
    assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
}

#[test]
fn the_file_ends_when_it_has_as_many_bytes_as_it_may() {
    let folder = Folder::new("capture-max");
    let file = folder.arg("capture.pcapng");
    let (forwarder, mut client, mut server) = pair(&["--pcapng", &file, "--capture-max", "100KiB"]);
    let sent = vec![7; 1 << 20];
    let send = std::thread::spawn(move || client.write_all(&sent).unwrap());
    server.read_exact(&mut vec![0; 1 << 20]).unwrap();
    send.join().unwrap();
    forwarder.wait_for("the capture ends here, it has as many bytes as --capture-max allows");
    let length = std::fs::metadata(&file).unwrap().len();
    assert!((1000..=100 * 1024).contains(&length), "{length}");
}
