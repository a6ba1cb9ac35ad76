use std::net::Ipv4Addr;
use std::sync::Mutex;
use std::time::Duration;

use super::sink::Output;
use super::*;
use crate::relay::Side;

/// What was written, to be looked at.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A disk that is full.
struct Full;

impl Write for Full {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::StorageFull.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn captures(filter: &str, hexdump: Option<Output>, pcapng: Option<Output>) -> Arc<Captures> {
    let sink = |output| Sink::start(filter.parse().unwrap(), output, None).unwrap();
    let count = AtomicU64::new(0);
    Arc::new(Captures { hexdump: hexdump.map(sink), pcapng: pcapng.map(sink), count })
}

fn subject(target: &Endpoint) -> Subject<'_> {
    let client = Some((Ipv4Addr::LOCALHOST, 5000).into());
    let target_addr = Some((Ipv4Addr::new(10, 0, 0, 5), 80).into());
    Subject { rule: "web", client, target, target_addr }
}

fn target() -> Endpoint {
    "10.0.0.5:80".parse().unwrap()
}

/// The packets that follow the header, each as source port, sequence number, acknowledgement,
/// flags and payload.
fn packets(mut file: &[u8]) -> Vec<(u16, u32, u32, u8, Vec<u8>)> {
    let mut packets = Vec::new();
    while let [a, b, c, d, e, f, g, h, ..] = *file {
        let length = u32::from_le_bytes([e, f, g, h]) as usize;
        assert_eq!(file[length - 4..length], [e, f, g, h], "the length stands at both ends");
        assert_eq!(u32::from_le_bytes([a, b, c, d]), 6);
        let captured = u32::from_le_bytes(file[20..24].try_into().unwrap()) as usize;
        let packet = &file[28..28 + captured];
        assert_eq!(packet[0], 0x45);
        assert_eq!(usize::from(u16::from_be_bytes([packet[2], packet[3]])), captured);
        let tcp = &packet[20..];
        let word = |at: usize| u32::from_be_bytes(tcp[at..at + 4].try_into().unwrap());
        let port = u16::from_be_bytes([tcp[0], tcp[1]]);
        packets.push((port, word(4), word(8), tcp[13], tcp[20..].to_vec()));
        file = &file[length..];
    }
    packets
}

#[test]
fn packets_tell_a_whole_connection_with_its_sequence_numbers() {
    let written = Written::default();
    let captures = captures("all", None, Some(Box::new(written.clone())));
    let target = target();
    let now = Instant::now();
    let mut tap = captures.tap(&subject(&target), now).unwrap();
    tap.data(Side::Client, b"ping", now);
    tap.data(Side::Target, b"pong!", now);
    tap.end(Side::Client);
    tap.reset(Side::Target);
    captures.finish();
    let none = Vec::new;
    let expected = [
        (5000, 0, 0, packet::SYN, none()),
        (80, 0, 1, packet::SYN | packet::ACK, none()),
        (5000, 1, 1, packet::ACK, none()),
        (5000, 1, 1, packet::PSH | packet::ACK, b"ping".to_vec()),
        (80, 1, 5, packet::PSH | packet::ACK, b"pong!".to_vec()),
        (5000, 5, 6, packet::FIN | packet::ACK, none()),
        (80, 6, 6, packet::RST | packet::ACK, none()),
    ];
    assert_eq!(packets(&written.0.lock().unwrap()), expected);
}

#[test]
fn a_long_piece_is_cut_into_packets_that_ip_can_hold() {
    let written = Written::default();
    let captures = captures("all", None, Some(Box::new(written.clone())));
    let target = target();
    let mut tap = captures.tap(&subject(&target), Instant::now()).unwrap();
    let bytes: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
    tap.data(Side::Client, &bytes, Instant::now());
    captures.finish();
    let payload: Vec<u8> =
        packets(&written.0.lock().unwrap()).into_iter().flat_map(|packet| packet.4).collect();
    assert!(payload == bytes);
}

#[test]
fn the_hexdump_counts_each_sides_bytes_for_itself() {
    let written = Written::default();
    let captures = captures("rule=web", Some(Box::new(written.clone())), None);
    let (target, now) = (target(), Instant::now());
    let mut tap = captures.tap(&subject(&target), now).unwrap();
    tap.data(Side::Client, b"abc", now);
    tap.data(Side::Target, b"x", now);
    tap.data(Side::Client, b"d", now + Duration::from_secs(1));
    captures.finish();
    let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "#1 +0.000000s 127.0.0.1:5000 > 10.0.0.5:80: 3 bytes");
    assert_eq!(lines[2], "#1 +0.000000s 10.0.0.5:80 > 127.0.0.1:5000: 1 bytes");
    assert_eq!(lines[4], "#1 +1.000000s 127.0.0.1:5000 > 10.0.0.5:80: 1 bytes");
    assert!(lines[3].starts_with("  00000000  78 "), "{}", lines[3]);
    assert!(lines[5].starts_with("  00000003  64 "), "{}", lines[5]);
}

#[test]
fn a_connection_that_no_filter_chooses_is_not_captured() {
    let captures = captures("rule=mail", Some(Box::new(Full)), None);
    assert!(captures.tap(&subject(&target()), Instant::now()).is_none());
}

#[test]
fn an_output_that_fails_ends_the_capture_and_not_the_connection() {
    let captures = captures("all", Some(Box::new(Full)), None);
    let (target, now) = (target(), Instant::now());
    let mut tap = captures.tap(&subject(&target), now).unwrap();
    tap.data(Side::Client, b"abc", now);
    captures.finish();
    tap.data(Side::Client, b"abc", now);
}

#[test]
fn a_capture_ends_before_it_is_longer_than_it_may_be() {
    let written = Written::default();
    let sink = Sink::start("all".parse().unwrap(), Box::new(written.clone()), Some(10)).unwrap();
    for record in [&b"1234"[..], b"567890", b"x", b""] {
        sink.write(record.to_vec());
    }
    sink.finish();
    assert_eq!(*written.0.lock().unwrap(), b"1234567890");
}

/// A writer that takes nothing until the channel allows it.
struct Hung(std::sync::mpsc::Receiver<()>);

impl Write for Hung {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = self.0.recv();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn an_output_that_hangs_holds_nothing_up_and_its_queue_is_bounded() {
    let (go_on, hung) = std::sync::mpsc::channel();
    let sink = Sink::start("all".parse().unwrap(), Box::new(Hung(hung)), None).unwrap();
    for _ in 0..100 {
        sink.write(vec![0; 1 << 20]);
    }
    assert_eq!(sink.dropped(), 100 - 16);
    drop(go_on);
    sink.finish();
}

#[test]
fn datagrams_are_written_one_packet_each() {
    let written = Written::default();
    let captures = captures("all", None, Some(Box::new(written.clone())));
    let (target, now) = (target(), Instant::now());
    let mut tap = captures.tap_datagrams(&subject(&target), now).unwrap();
    let longest = vec![7; 65_507];
    for datagram in [&b"question"[..], b"", &longest] {
        tap.data(Side::Client, datagram, now);
    }
    tap.end(Side::Client);
    captures.finish();
    let file = written.0.lock().unwrap();
    let mut rest = &file[..];
    for datagram in [&b"question"[..], b"", &longest] {
        let length = u32::from_le_bytes(rest[4..8].try_into().unwrap()) as usize;
        let packet = &rest[28..28 + 28 + datagram.len()];
        assert_eq!((packet[0], packet[9]), (0x45, 17));
        assert_eq!(packet[20..24], [19, 136, 0, 80], "the ports");
        assert_eq!(usize::from(u16::from_be_bytes([packet[24], packet[25]])), 8 + datagram.len());
        assert!(packet[28..] == *datagram);
        rest = &rest[length..];
    }
    assert!(rest.is_empty());
}

#[test]
fn lines_tell_who_when_where_and_what() {
    let after = Duration::from_millis(1500);
    let head = tap::Head { id: 7, after, from: "127.0.0.1:1", to: "10.0.0.5:80" };
    let expected = "#7 +1.500000s 127.0.0.1:1 > 10.0.0.5:80: 18 bytes\n  \
         00000010  47 45 54 20 2f 20 48 54  54 50 2f 31 2e 31 0d 0a  |GET / HTTP/1.1..|\n  \
         00000020  00 ff                                             |..|\n";
    assert_eq!(tap::dump(&head, 16, b"GET / HTTP/1.1\r\n\0\xff"), expected);
}
