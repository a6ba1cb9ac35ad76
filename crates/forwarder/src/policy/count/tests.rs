use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use super::*;

fn count(limit: usize) -> Count {
    Count::new(limit, Refusal::RuleLimit)
}

#[test]
fn that_all_places_are_taken_is_news_once_a_minute() {
    let (count, now) = (count(1), Instant::now());
    let after = |seconds| count.full.is_news(now + Duration::from_secs(seconds));
    assert_eq!(
        [0, 1, 59, 60, 61, 119, 120].map(after),
        [true, false, false, true, false, false, true]
    );
}

#[test]
fn a_limit_of_one_is_never_shared_by_two_threads() {
    const THREADS: usize = 4;
    let (count, inside, barrier) = (count(1), AtomicUsize::new(0), Barrier::new(THREADS));
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                barrier.wait();
                for _ in 0..1_000_000 {
                    if count.enter() {
                        assert_eq!(inside.fetch_add(1, Relaxed), 0);
                        inside.fetch_sub(1, Relaxed);
                        count.leave();
                    }
                }
            });
        }
    });
    assert_eq!(count.open(), 0);
}

#[test]
fn of_threads_that_wait_for_each_others_places_none_is_forgotten() {
    const THREADS: usize = 4;
    let (count, done) = (count(2), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                let (this, woken) = (std::thread::current(), Arc::new(AtomicBool::new(false)));
                let noted = Arc::clone(&woken);
                let waiter = Waiter::new(move || {
                    noted.store(true, SeqCst);
                    this.unpark();
                });
                for _ in 0..20_000 {
                    // Who is forgotten sleeps for ever.
                    while !count.enter() {
                        if !count.queue(&waiter) {
                            std::thread::park();
                        }
                    }
                    count.leave();
                }
                // Who was queued in vain is woken in vain, and passes that on.
                done.fetch_add(1, SeqCst);
                while done.load(SeqCst) < THREADS {
                    if woken.swap(false, SeqCst) && count.enter() {
                        count.leave();
                    }
                    std::thread::yield_now();
                }
            });
        }
    });
    assert_eq!(count.open(), 0);
}
