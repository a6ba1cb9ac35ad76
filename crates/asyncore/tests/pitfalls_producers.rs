//! Producers that fail: reported once, without loss of other output.

mod util;

use asyncore::Producer;
use util::{Recorder, Seen, on_every_network};

struct FailingProducer {
    how: &'static str,
}

impl Producer for FailingProducer {
    fn more(&mut self, _: &mut Vec<u8>) -> std::io::Result<()> {
        match self.how {
            "fail" => Err(std::io::Error::other("the producer's own error")),
            "panic" => panic!("the producer's own panic"),
            _ => Err(std::io::ErrorKind::WouldBlock.into()),
        }
    }
}

impl Drop for FailingProducer {
    fn drop(&mut self) {
        if self.how == "panic in drop" && !std::thread::panicking() {
            panic!("the producer's own drop")
        }
    }
}

#[test]
fn a_failing_producer_is_reported_once_and_skipped() {
    on_every_network(|world| {
        for (how, expected) in [
            ("fail", "a producer failed: the producer's own error"),
            ("panic", "the producer's own panic"),
        ] {
            let seen = Seen::default();
            let handler = Recorder::new(&seen).on("handle_error", |_| Ok(()));
            let (token, remote) = world.connect(handler);
            let mut channel = world.map.channel(token).unwrap();
            channel.push(b"before ");
            channel.push_with_producer(FailingProducer { how });
            let mut heard = Vec::new();
            world.run_until(|_| seen.count("handle_error") > 0);
            world.map.channel(token).unwrap().push(b"after");
            world.run_until(|_| {
                heard.extend(remote.received());
                heard == b"before after"
            });
            world.settle();
            let errors = seen.errors();
            assert_eq!(errors.len(), 1, "{errors:#?}");
            assert!(errors[0].contains(expected), "{errors:#?}");
        }
    });
}

#[test]
fn a_producer_whose_drop_panics_leaks_no_channel() {
    on_every_network(|world| {
        let seen = Seen::default();
        let handler = Recorder::new(&seen).on("handle_read", |ch| {
            ch.push_with_producer(FailingProducer { how: "panic in drop" });
            ch.close();
            Ok(())
        });
        let (token, remote) = world.connect(handler);
        let lines = util::log::complaints(|| {
            remote.send(b"x");
            world.run_until(|world| !world.map.contains(token));
        });
        assert_eq!(seen.count("handle_close"), 1);
        let expected = lines.into_iter().chain(seen.errors());
        assert_eq!(expected.filter(|line| line.contains("the producer's own drop")).count(), 1);
    });
}
