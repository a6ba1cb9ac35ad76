use std::cell::Cell;

use asyncore::sim::{Faults, Network, Peer};
use asyncore::{Domain, EventLoop, Type};
use asyncore_http::{Request, Response, Server, Service};
use serde_json::Value;

use super::*;
use crate::shared::Handle;
use crate::status::listing::Listing;
use crate::worker::Worker;

const ADDR: &str = "192.0.2.1:80";

/// A process of two workers, whose loops run when a test lets them, and a page on a loop of its own.
struct Harness {
    network: Network,
    page: EventLoop,
    workers: [EventLoop; 2],
    hub: Token<Hub>,
}

/// A page that answers every request with a report.
struct Reports(Token<Hub>);

impl Service for Reports {
    fn max_connections(&self) -> usize {
        128
    }

    fn respond(&self, ch: &mut Channel<'_>, _request: &Request, reply: Reply) -> Answer {
        let query = Query::Json { listing: Listing::DEFAULT, actions: false };
        Hub::answer(ch, self.0, query, reply)
            .unwrap_or_else(|refusal| Answer::Now(Response::from(&refusal)))
    }
}

impl Harness {
    fn new() -> Self {
        let network = Network::with_faults(1, Faults::none());
        let mut page = SocketMap::simulated(&network);
        let mut workers = [SocketMap::new().unwrap(), SocketMap::new().unwrap()];
        let shared = Shared::new(100, 2);
        let handles = workers.iter_mut().map(|map| {
            let token = Worker::start(map, Arc::clone(&shared)).unwrap();
            Handle { trigger: map.trigger().unwrap(), token }
        });
        shared.set_loops(page.trigger().unwrap(), handles.collect());
        let hub = Hub::of(&mut page, &shared).unwrap();
        page.add_with(|ch| {
            ch.create_socket(Domain::IPV4, Type::STREAM)?;
            ch.bind(ADDR.parse::<std::net::SocketAddr>().unwrap())?;
            ch.listen(1024)?;
            Ok(Server::new(Reports(hub)))
        })
        .unwrap();
        Harness { network, page, workers, hub }
    }

    /// Runs the page's loop for a hundredth of a second.
    fn pass(&mut self) {
        let end = self.network.elapsed() + Duration::from_millis(10);
        while self.network.elapsed() < end {
            let _ = self.page.poll(Some(Duration::from_millis(1))).unwrap();
        }
    }

    /// Lets workers do what they were asked to.
    fn run_workers(&mut self, which: std::ops::Range<usize>) {
        for worker in &mut self.workers[which] {
            let _ = worker.poll(Some(Duration::ZERO)).unwrap();
        }
        self.pass();
    }

    fn wait(&mut self, span: Duration) {
        self.network.advance(span);
        self.pass();
    }

    fn connect(&mut self) -> Peer {
        let reader = self.network.connect(ADDR.parse().unwrap());
        self.pass();
        reader
    }

    fn ask(&mut self, reader: &Peer) {
        reader.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        self.pass();
    }

    fn hub(&self) -> &Hub {
        self.page.get(self.hub).unwrap()
    }
}

/// The report that a reader has received, if there is one.
fn report(reader: &Peer) -> Option<Value> {
    let answer = String::from_utf8(reader.received()).unwrap();
    let (_, body) = answer.split_once("\r\n\r\n")?;
    Some(serde_json::from_str(body).expect(body))
}

fn answers(report: &Value) -> Vec<bool> {
    report["workers"].as_array().unwrap().iter().map(|it| it["answers"] == true).collect()
}

#[test]
fn a_report_comes_when_the_last_worker_has_answered() {
    let mut harness = Harness::new();
    let reader = harness.connect();
    harness.run_workers(0..2);
    harness.ask(&reader);
    harness.run_workers(0..1);
    assert!(report(&reader).is_none());
    harness.run_workers(1..2);
    assert_eq!(answers(&report(&reader).unwrap()), [true, true]);
}

#[test]
fn a_request_before_the_first_pass_is_answered_by_all_workers() {
    let mut harness = Harness::new();
    let reader = harness.network.connect(ADDR.parse().unwrap());
    reader.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    for _ in 0..5 {
        harness.run_workers(0..2);
    }
    assert_eq!(answers(&report(&reader).unwrap()), [true, true]);
}

#[test]
fn a_worker_that_does_not_answer_within_a_second_is_reported_as_missing() {
    let mut harness = Harness::new();
    let reader = harness.connect();
    harness.run_workers(0..2);
    harness.ask(&reader);
    harness.run_workers(0..1);
    harness.wait(Duration::from_millis(900));
    assert!(report(&reader).is_none());
    harness.wait(Duration::from_millis(100));
    assert_eq!(answers(&report(&reader).unwrap()), [true, false]);
    // It is not asked again before it has answered.
    for _ in 0..5 {
        harness.wait(Duration::from_secs(1));
        harness.run_workers(0..1);
    }
    harness.ask(&reader);
    harness.run_workers(0..1);
    assert_eq!(answers(&report(&reader).unwrap()), [true, false]);
    harness.run_workers(1..2);
    harness.ask(&reader);
    harness.wait(Duration::from_secs(1));
    harness.run_workers(0..2);
    assert_eq!(answers(&report(&reader).unwrap()), [true, true]);
}

#[test]
fn any_number_of_readers_causes_one_gathering_a_second() {
    let mut harness = Harness::new();
    let readers: Vec<Peer> = (0..20).map(|_| harness.connect()).collect();
    harness.run_workers(0..2);
    let (before, start) = (harness.hub().gatherings, harness.network.elapsed());
    let reports: Vec<Cell<u32>> = readers.iter().map(|_| Cell::new(0)).collect();
    readers.iter().for_each(|reader| harness.ask(reader));
    while harness.network.elapsed() - start < Duration::from_secs(10) {
        harness.run_workers(0..2);
        for (reader, reports) in readers.iter().zip(&reports) {
            if report(reader).is_some() {
                reports.set(reports.get() + 1);
                harness.ask(reader);
            }
        }
    }
    let gatherings = harness.hub().gatherings - before;
    assert!((9..=11).contains(&gatherings), "{gatherings} in 10 s");
    for count in reports {
        assert!((9..=11).contains(&count.get()), "one reader got {count:?} reports in 10 s");
    }
}

#[test]
fn a_reader_after_a_pause_is_answered_at_once() {
    let mut harness = Harness::new();
    let reader = harness.connect();
    for _ in 0..3 {
        harness.wait(Duration::from_millis(1300));
        harness.run_workers(0..2);
        let (before, start) = (harness.hub().gatherings, harness.network.elapsed());
        harness.ask(&reader);
        harness.run_workers(0..2);
        assert!(report(&reader).is_some());
        assert!(harness.network.elapsed() - start < Duration::from_millis(100));
        assert_eq!(harness.hub().gatherings, before + 1);
    }
}

#[test]
fn requests_whose_client_has_gone_do_not_fill_the_queue() {
    let mut harness = Harness::new();
    for _ in 0..MAX_WAITING + 10 {
        let reader = harness.connect();
        harness.ask(&reader);
        reader.reset();
    }
    assert!(harness.hub().waiting.len() <= MAX_WAITING);
    let reader = harness.connect();
    harness.ask(&reader);
    harness.wait(Duration::from_secs(1));
    harness.run_workers(0..2);
    harness.wait(Duration::from_secs(1));
    harness.run_workers(0..2);
    assert!(report(&reader).is_some());
}

#[test]
fn a_sample_is_taken_every_second_once_there_is_one_to_compare_with() {
    let mut harness = Harness::new();
    for _ in 0..6 {
        harness.run_workers(0..2);
        harness.wait(Duration::from_secs(1));
    }
    harness.run_workers(0..2);
    let history = harness.hub().totals.history(harness.page.now());
    assert_eq!(history.ago.len(), 6, "{history:?}");
}

#[test]
fn a_map_has_one_hub() {
    let mut harness = Harness::new();
    let shared = Arc::clone(&harness.hub().shared);
    assert!(Hub::of(&mut harness.page, &shared).unwrap() == harness.hub);
}

struct Nothing;
impl Dispatcher for Nothing {}

#[test]
fn a_worker_looks_at_its_channels_in_slices() {
    let mut map = SocketMap::new().unwrap();
    let worker = Worker::start(&mut map, Shared::new(1, 1)).unwrap();
    for _ in 0..10 * crate::status::snapshot::CHANNELS_PER_PASS {
        let channel = map.add_with(|_| Ok(Nothing)).unwrap().untyped();
        Worker::registry(&map, worker).unwrap().add(channel);
    }
    let (sender, receiver) = std::sync::mpsc::channel();
    let done = Box::new(move |_| sender.send(()).unwrap());
    Scan { worker: 0, with_rows: true, elapsed: 1.0, done }.start(&mut map, worker);
    for _ in 1..10 {
        assert!(receiver.try_recv().is_err());
        let _ = map.poll(Some(Duration::ZERO)).unwrap();
    }
    assert!(receiver.try_recv().is_ok());
}
