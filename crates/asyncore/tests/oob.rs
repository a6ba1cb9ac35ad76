//! Out-of-band data: one urgent byte, separate from the stream.

mod util;

use std::cell::RefCell;
use std::io::ErrorKind;
use std::rc::Rc;

use asyncore::{Channel, Dispatcher, LogType, Result};
use socket2::SockRef;
use util::log::complaints;
use util::{Recorder, Seen, on_every_network, on_every_poller, run_until, tcp_pair};

type Bytes = Rc<RefCell<Vec<u8>>>;

/// Records urgent bytes and the stream separately.
struct Urgent {
    urgent: Bytes,
    stream: Bytes,
}

impl Dispatcher for Urgent {
    fn handle_expt(&mut self, ch: &mut Channel<'_>) -> Result {
        let mut buf = [0; 1];
        let n = ch.recv_oob(&mut buf)?;
        self.urgent.borrow_mut().extend(&buf[..n]);
        Ok(())
    }

    fn handle_read(&mut self, ch: &mut Channel<'_>) -> Result {
        let mut buf = [0; 64];
        let n = ch.recv(&mut buf)?;
        self.stream.borrow_mut().extend(&buf[..n]);
        Ok(())
    }
}

#[test]
fn an_urgent_byte_is_separate_from_the_stream() {
    on_every_poller(|builder| {
        let mut map = builder.build().unwrap();
        let (urgent, stream) = (Bytes::default(), Bytes::default());
        let (socket, remote) = tcp_pair();
        let handler = Urgent { urgent: Rc::clone(&urgent), stream: Rc::clone(&stream) };
        let token = map.add(handler, socket);
        map.channel(token).unwrap().set_priority(true);
        let remote_socket = SockRef::from(&remote);
        for round in 1..=3 {
            remote_socket.send(b"ab").unwrap();
            remote_socket.send_out_of_band(b"!").unwrap();
            run_until(&mut map, |_| {
                urgent.borrow().len() == round && stream.borrow().len() == 2 * round
            });
        }
        assert_eq!(*urgent.borrow(), b"!!!");
        assert_eq!(*stream.borrow(), b"ababab");
        assert_eq!(map.stats().errors, 0);
    });
}

#[test]
fn channels_exchange_an_urgent_byte() {
    on_every_network(|world| {
        let (urgent, stream) = (Bytes::default(), Bytes::default());
        struct Accepting(Option<Urgent>);
        impl Dispatcher for Accepting {
            fn handle_accepted(
                &mut self,
                ch: &mut Channel<'_>,
                sock: asyncore::Socket,
                _: Option<std::net::SocketAddr>,
            ) -> Result {
                let token = ch.add(self.0.take().unwrap(), sock);
                ch.channel(token).unwrap().set_priority(true);
                Ok(())
            }
        }
        let handler = Urgent { urgent: Rc::clone(&urgent), stream: Rc::clone(&stream) };
        let (_, addr) = world.listen(Accepting(Some(handler)));
        let seen = Seen::default();
        let sends = Recorder::new(&seen).on("handle_connect", |ch| {
            ch.push(b"stream");
            assert_eq!(ch.send_oob(b"!")?, 1);
            Ok(())
        });
        let connecting = world.map.add_with(|ch| {
            ch.create_socket(asyncore::Domain::IPV4, asyncore::Type::STREAM)?;
            ch.connect(addr)?;
            Ok(sends)
        });
        connecting.unwrap();
        world.run_until(|_| *urgent.borrow() == b"!" && *stream.borrow() == b"stream");
        assert_eq!(world.map.stats().errors, 0);
    });
}

#[test]
fn an_unhandled_urgent_byte_logs_a_warning() {
    struct Talkative;
    impl Dispatcher for Talkative {
        fn ignore_log_types(&self) -> &[LogType] {
            &[]
        }
    }
    on_every_poller(|builder| {
        let mut map = builder.build().unwrap();
        let (socket, remote) = tcp_pair();
        let token = map.add(Talkative, socket);
        let mut channel = map.channel(token).unwrap();
        channel.set_priority(true);
        let shown = format!("{channel:?}");
        SockRef::from(&remote).send_out_of_band(b"!").unwrap();
        let mut lines = Vec::new();
        run_until(&mut map, |map| {
            lines.extend(complaints(|| drop(map.poll(util::PASS))));
            lines.iter().any(|line| line.contains("priority"))
        });
        assert_eq!(lines, [format!("WARN unhandled incoming priority event on {shown}")]);
    });
}

#[test]
fn recv_oob_fails_before_an_urgent_byte_arrives() {
    on_every_network(|world| {
        let (token, _remote) = world.connect(Recorder::new(&Seen::default()));
        let error = world.map.channel(token).unwrap().recv_oob(&mut [0; 1]).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::WouldBlock), "{error}");
        world.settle();
        assert!(world.map.contains(token));
    });
}
