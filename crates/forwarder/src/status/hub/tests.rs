use std::cell::RefCell;
use std::rc::Rc;

use asyncore::EventLoop;
use asyncore::sim::{Faults, Network};

use super::*;
use crate::shared::Handle;
use crate::worker::Worker;

/// A process of two workers: the hub's own, and one whose loop runs when a test lets it.
struct Scene {
    network: Network,
    home: EventLoop,
    away: EventLoop,
    hub: Token<Hub>,
}

fn worker(map: &mut EventLoop, shared: &Arc<Shared>) -> Handle {
    let token = Worker::start(map, Arc::clone(shared)).unwrap();
    Handle { trigger: map.trigger().unwrap(), token }
}

impl Scene {
    fn new() -> Self {
        let network = Network::with_faults(1, Faults::none());
        let (mut home, mut away) = (SocketMap::simulated(&network), SocketMap::new().unwrap());
        let shared = Shared::new(100, 2);
        shared.set_workers(vec![worker(&mut home, &shared), worker(&mut away, &shared)]);
        let hub = Hub::of(&mut home, &shared).unwrap();
        Scene { network, home, away, hub }
    }

    fn ask(&mut self) -> Rc<RefCell<Option<Report>>> {
        let told = Rc::new(RefCell::new(None));
        let tell = Rc::clone(&told);
        self.home
            .with(self.hub, |hub, ch| {
                hub.report(ch, Listing::DEFAULT, move |_, report| {
                    *tell.borrow_mut() = Some(report)
                });
            })
            .unwrap();
        told
    }

    /// Some passes of the hub's loop, in which a hundredth of a second goes by.
    fn pass(&mut self) {
        let end = self.network.elapsed() + Duration::from_millis(10);
        while self.network.elapsed() < end {
            let _ = self.home.poll(Some(Duration::from_millis(1))).unwrap();
        }
    }

    /// The second worker does what it was asked.
    fn let_away_answer(&mut self) {
        let _ = self.away.poll(Some(Duration::ZERO)).unwrap();
        self.pass();
    }
}

fn answers(report: &Report) -> Vec<bool> {
    report.workers.iter().map(|worker| worker.answers).collect()
}

#[test]
fn a_report_comes_when_the_last_worker_has_answered() {
    let mut scene = Scene::new();
    let told = scene.ask();
    scene.pass();
    assert!(told.borrow().is_none());
    scene.let_away_answer();
    assert_eq!(answers(told.borrow().as_ref().unwrap()), [true, true]);
}

#[test]
fn a_worker_that_does_not_answer_within_a_second_is_said_to_be_missing() {
    let mut scene = Scene::new();
    let told = scene.ask();
    scene.network.advance(Duration::from_millis(900));
    scene.pass();
    assert!(told.borrow().is_none());
    scene.network.advance(Duration::from_millis(100));
    scene.pass();
    assert_eq!(answers(told.borrow().as_ref().unwrap()), [true, false]);
    // Its answer comes too late, and the next one does not.
    scene.let_away_answer();
    let told = scene.ask();
    scene.let_away_answer();
    assert_eq!(answers(told.borrow().as_ref().unwrap()), [true, true]);
}

#[test]
fn a_worker_that_answers_nothing_is_not_asked_without_end() {
    let mut scene = Scene::new();
    for _ in 0..3 * ASKED_AT_ONCE {
        scene.ask();
        scene.pass();
    }
    let asked = |scene: &Scene| Arc::strong_count(&scene.home.get(scene.hub).unwrap().asked[1]);
    assert_eq!(asked(&scene), 1 + ASKED_AT_ONCE);
    scene.let_away_answer();
    assert_eq!(asked(&scene), 1);
    scene.network.advance(Duration::from_secs(2));
    scene.pass();
    assert!(scene.home.get(scene.hub).unwrap().gatherings.len() <= 1, "only the next sample's");
}

#[test]
fn a_sample_is_taken_every_second_after_the_first_that_there_is_nothing_to_compare_with() {
    let mut scene = Scene::new();
    for _ in 0..5 {
        scene.pass();
        scene.let_away_answer();
        scene.network.advance(Duration::from_secs(1));
    }
    scene.pass();
    scene.let_away_answer();
    let told = scene.ask();
    scene.let_away_answer();
    let history = told.borrow_mut().take().unwrap().history;
    assert_eq!(history.ago.len(), 5, "{history:?}");
}

#[test]
fn a_map_has_one_hub() {
    let mut scene = Scene::new();
    let shared = Arc::clone(&scene.home.get(scene.hub).unwrap().shared);
    assert!(Hub::of(&mut scene.home, &shared).unwrap() == scene.hub);
}
