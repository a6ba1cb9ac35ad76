//! Handlers that bypass the channel: they use the descriptor with their own system calls, or with a
//! library that reads from it.

mod util;

use std::cell::{Cell, RefCell};
use std::io::{ErrorKind, IoSlice, IoSliceMut, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::Duration;

use asyncore::sim::Network;
use asyncore::{Channel, FileWrapper, Layer, LayerIo, Socket, SocketMap};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags,
};
use util::{Recorder, Seen, assert_rests, on_every_poller, run_until};

/// Reads up to `limit` bytes directly from the descriptor.
fn read_beside(ch: &Channel<'_>, limit: usize) -> usize {
    let mut buf = vec![0; limit];
    rustix::io::read(ch.descriptor().expect("a socket"), &mut buf[..]).expect("ready")
}

fn pair() -> (Socket, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    (Socket::try_from(ours).unwrap(), theirs)
}

#[test]
fn a_handler_that_reads_by_other_means_gets_every_event() {
    on_every_poller(|builder| {
        let mut map = builder.build().unwrap();
        let (seen, total) = (Seen::default(), Rc::new(Cell::new(0)));
        let count = Rc::clone(&total);
        let handler = Recorder::new(&seen).on("handle_read", move |ch| {
            count.set(count.get() + read_beside(ch, 64));
            Ok(())
        });
        let (ours, mut theirs) = pair();
        map.add(handler, ours);
        for round in 1..=5 {
            theirs.write_all(b"abc").unwrap();
            run_until(&mut map, |_| total.get() == 3 * round);
            assert_eq!(seen.count("handle_read"), round);
            assert_rests(&mut map);
        }
    });
}

#[test]
fn a_handler_that_leaves_the_descriptor_alone_does_not_spin() {
    on_every_poller(|builder| {
        let mut map = builder.build().unwrap();
        let seen = Seen::default();
        let (ours, mut theirs) = pair();
        let token = map.add(Recorder::new(&seen).on("handle_read", |_| Ok(())), ours);
        theirs.write_all(b"abc").unwrap();
        run_until(&mut map, |_| seen.count("handle_read") == 1);
        assert_rests(&mut map);
        theirs.write_all(b"def").unwrap();
        assert_rests(&mut map);
        assert_eq!(seen.count("handle_read"), 1, "it was offered all that already");
        map.channel(token).unwrap().touch();
        run_until(&mut map, |_| seen.count("handle_read") == 2);
        assert_rests(&mut map);
    });
}

#[test]
fn touch_inside_the_callback_offers_what_is_left() {
    on_every_poller(|builder| {
        let mut map = builder.build().unwrap();
        let (seen, total) = (Seen::default(), Rc::new(Cell::new(0)));
        let count = Rc::clone(&total);
        let handler = Recorder::new(&seen).on("handle_read", move |ch| {
            count.set(count.get() + read_beside(ch, 1));
            ch.touch();
            Ok(())
        });
        let (ours, mut theirs) = pair();
        map.add(handler, ours);
        theirs.write_all(b"seven..").unwrap();
        run_until(&mut map, |_| total.get() == 7);
        assert_eq!(seen.count("handle_read"), 7);
        assert_rests(&mut map);
    });
}

#[test]
fn try_io_is_offered_what_is_left_without_a_touch() {
    on_every_poller(|builder| {
        let mut map = builder.build().unwrap();
        let (seen, text) = (Seen::default(), Rc::new(RefCell::new(Vec::new())));
        let received = Rc::clone(&text);
        let handler = Recorder::new(&seen).on("handle_read", move |ch| {
            let (mut first, mut second) = ([0; 1], [0; 2]);
            let n = ch.try_io(|fd| {
                let mut buffers = [IoSliceMut::new(&mut first), IoSliceMut::new(&mut second)];
                Ok(rustix::io::readv(fd, &mut buffers)?)
            })?;
            let bytes = [&first[..], &second[..]].concat();
            received.borrow_mut().extend_from_slice(&bytes[..n]);
            Ok(())
        });
        let (ours, mut theirs) = pair();
        map.add(handler, ours);
        theirs.write_all(b"scattered!").unwrap();
        run_until(&mut map, |_| text.borrow().len() == 10);
        assert_eq!(*text.borrow(), b"scattered!");
        assert_rests(&mut map);
        assert!(seen.errors().is_empty(), "{}", seen.order());
    });
}

#[test]
fn a_would_block_of_try_io_is_no_failure() {
    on_every_poller(|builder| {
        let mut map = builder.build().unwrap();
        let seen = Seen::default();
        let handler = Recorder::new(&seen).on("handle_read", |ch| {
            loop {
                ch.try_io(|fd| Ok(rustix::io::read(fd, &mut [0; 2][..])?))?;
            }
        });
        let (ours, mut theirs) = pair();
        let token = map.add(handler, ours);
        for round in 1..=3 {
            theirs.write_all(b"abcde").unwrap();
            run_until(&mut map, |_| seen.count("handle_read") == round);
            assert_rests(&mut map);
        }
        assert!(map.contains(token) && seen.errors().is_empty());
    });
}

#[test]
fn descriptors_are_received_by_recvmsg() {
    on_every_poller(|builder| {
        let mut map = builder.build().unwrap();
        let (seen, passed) = (Seen::default(), Rc::new(RefCell::new(Vec::<OwnedFd>::new())));
        let kept = Rc::clone(&passed);
        let handler = Recorder::new(&seen).on("handle_read", move |ch| {
            let mut byte = [0; 1];
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
            let mut control = RecvAncillaryBuffer::new(&mut space);
            ch.try_io(|fd| {
                let mut buffers = [IoSliceMut::new(&mut byte)];
                Ok(rustix::net::recvmsg(fd, &mut buffers, &mut control, RecvFlags::empty())?)
            })?;
            for message in control.drain() {
                if let RecvAncillaryMessage::ScmRights(descriptors) = message {
                    kept.borrow_mut().extend(descriptors);
                }
            }
            Ok(())
        });
        let (ours, theirs) = pair();
        map.add(handler, ours);
        let (gift, mut other_end) = UnixStream::pair().unwrap();
        for _ in 0..3 {
            let descriptors = [gift.as_fd()];
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
            let mut control = SendAncillaryBuffer::new(&mut space);
            assert!(control.push(SendAncillaryMessage::ScmRights(&descriptors)));
            let bytes = [IoSlice::new(b"!")];
            rustix::net::sendmsg(&theirs, &bytes, &mut control, SendFlags::empty()).unwrap();
        }
        run_until(&mut map, |_| passed.borrow().len() == 3);
        let descriptor = passed.borrow_mut().pop().unwrap();
        assert_ne!(descriptor.as_raw_fd(), gift.as_raw_fd());
        UnixStream::from(descriptor).write_all(b"through the gift").unwrap();
        let mut text = [0; 16];
        other_end.read_exact(&mut text).unwrap();
        assert_eq!(&text, b"through the gift");
        assert_rests(&mut map);
    });
}

#[test]
fn a_handler_with_its_own_writes_is_called_while_writable() {
    on_every_poller(|builder| {
        let mut map = builder.build().unwrap();
        let (seen, left) = (Seen::default(), Rc::new(Cell::new(1 << 20)));
        let (to_send, answer) = (Rc::clone(&left), Rc::clone(&left));
        let handler = Recorder::new(&seen).writable(move |_| answer.get() > 0).on(
            "handle_write",
            move |ch| {
                let chunk = vec![7; to_send.get().min(10_000)];
                let n = ch.try_io(|fd| Ok(rustix::io::writev(fd, &[IoSlice::new(&chunk)])?))?;
                to_send.set(to_send.get() - n);
                Ok(())
            },
        );
        let (ours, mut theirs) = pair();
        map.add(handler, ours);
        theirs.set_nonblocking(true).unwrap();
        let (mut received, mut buf) = (0, vec![0; 65536]);
        run_until(&mut map, |_| {
            while let Ok(n) = theirs.read(&mut buf) {
                received += n;
            }
            received == 1 << 20
        });
        assert_rests(&mut map);
        assert!(seen.errors().is_empty(), "{}", seen.order());
    });
}

#[test]
#[cfg(target_os = "linux")]
fn an_eventfd_is_a_channel() {
    use rustix::event::{EventfdFlags, eventfd};

    on_every_poller(|builder| {
        let mut map = builder.build().unwrap();
        let (seen, total) = (Seen::default(), Rc::new(Cell::new(0)));
        let sum = Rc::clone(&total);
        let handler = Recorder::new(&seen).on("handle_read", move |ch| {
            let mut count = [0; 8];
            ch.try_io(|fd| Ok(rustix::io::read(fd, &mut count[..])?))?;
            sum.set(sum.get() + u64::from_ne_bytes(count));
            Ok(())
        });
        let counter = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).unwrap();
        map.add_file(handler, FileWrapper::new(&counter).unwrap());
        for round in 1..=4 {
            rustix::io::write(&counter, &3_u64.to_ne_bytes()).unwrap();
            run_until(&mut map, |_| total.get() == 3 * round);
            assert_rests(&mut map);
        }
        assert_eq!(seen.count("handle_read"), 4);
    });
}

#[test]
fn try_io_without_a_descriptor_is_an_error() {
    let net = Network::new(1);
    let mut map = SocketMap::simulated(&net);
    let unconnected = map.add_with(|ch| {
        let refused = ch.try_io(|_| Ok(())).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::NotConnected, "no socket");
        ch.create_socket(asyncore::Domain::IPV4, asyncore::Type::STREAM)?;
        let refused = ch.try_io(|_| Ok(())).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::NotConnected, "a simulated socket");
        Ok(Recorder::default())
    });
    unconnected.unwrap();
}

#[test]
fn try_io_would_bypass_a_layer_and_is_refused() {
    struct Nothing;

    impl Layer for Nothing {
        fn receive(&mut self, input: &[u8], io: &mut LayerIo<'_>) -> std::io::Result<()> {
            io.deliver(input);
            Ok(())
        }

        fn send(&mut self, output: &[u8], io: &mut LayerIo<'_>) -> std::io::Result<()> {
            io.transmit(output);
            Ok(())
        }
    }

    let mut map = SocketMap::new().unwrap();
    let (ours, _theirs) = pair();
    let token = map.add(Recorder::default(), ours);
    let mut channel = map.channel(token).unwrap();
    assert!(channel.try_io(|_| Ok(())).is_ok());
    channel.insert_layer(Nothing, &[]).unwrap();
    assert_eq!(channel.try_io(|_| Ok(())).unwrap_err().kind(), ErrorKind::Unsupported);
    let _ = map.poll(Some(Duration::ZERO)).unwrap();
}
