//! The addresses of targets that are names.

use std::net::SocketAddr;
use std::rc::{Rc, Weak};
use std::time::Duration;

use asyncore::{Channel, SocketMap};

use crate::config::Endpoint;
use crate::config::arrives_at;
use crate::worker_rule::WorkerRule;

/// Looks them up now, and again at the rule's interval for as long as it is served.
pub(crate) fn resolve(ch: &mut Channel<'_>, worker_rule: &Rc<WorkerRule>) {
    for (index, target) in worker_rule.rule.targets.iter().enumerate() {
        let Endpoint::Host(host, port) = &target.endpoint else {
            continue;
        };
        match host.parse() {
            Ok(ip) => {
                worker_rule.addresses[index].replace(Some(vec![SocketAddr::new(ip, *port)]));
            }
            Err(_) => {
                let worker_rule = Rc::downgrade(worker_rule);
                ch.call_later(Duration::ZERO, move |map| {
                    look_up(map, worker_rule, index);
                    Ok(())
                });
            }
        }
    }
}

fn look_up(map: &mut SocketMap, worker_rule: Weak<WorkerRule>, index: usize) {
    let Some(served) = worker_rule.upgrade() else {
        return;
    };
    let Endpoint::Host(host, port) = &served.rule.targets[index].endpoint else {
        return;
    };
    let answered = map.lookup_host(host, *port, move |map, answer| {
        let Some(served) = worker_rule.upgrade() else {
            return;
        };
        match answer {
            Ok(addrs) => {
                served.addresses[index].replace(Some(elsewhere(&served, index, addrs)));
            }
            // What was found last stays in use.
            Err(error) => tracing::warn!(rule = %served.rule.name, "{error}"),
        }
        map.call_later(served.rule.resolve_every, move |map| {
            look_up(map, worker_rule, index);
            Ok(())
        });
    });
    if let Err(error) = answered {
        tracing::warn!(rule = %served.rule.name, "{error}");
    }
}

/// Without those at which the rule itself listens: each connection there would make another.
fn elsewhere(
    worker_rule: &WorkerRule,
    index: usize,
    mut addrs: Vec<SocketAddr>,
) -> Vec<SocketAddr> {
    addrs.retain(|addr| {
        let is_loop = arrives_at(*addr, &worker_rule.rule.listen);
        if is_loop {
            tracing::error!(
                rule = %worker_rule.rule.name,
                target = %worker_rule.rule.targets[index].endpoint,
                "{addr} is where the rule itself listens, and is left out"
            );
        }
        !is_loop
    });
    addrs
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use asyncore::EventLoop;
    use asyncore::sim::Network;

    use super::*;
    use crate::config::{Listen, Rule};
    use crate::relay::Listener;

    /// A rule on 192.0.2.1:80 to a name with these addresses, once they are looked up.
    fn looked_up(addrs: &[&str]) -> (Network, EventLoop, Rc<WorkerRule>) {
        let network = Network::new(1);
        network.add_host("web.example", addrs.iter().map(|ip| ip.parse::<IpAddr>().unwrap()));
        let listen = Listen::Tcp("192.0.2.1:80".parse().unwrap());
        let rule = Rule::new(listen, vec![Endpoint::Host("web.example".to_owned(), 80).into()]);
        let mut map = SocketMap::simulated(&network);
        let worker_rule = WorkerRule::alone(rule, map.now());
        let listener = Listener::simulated(&mut map, &worker_rule);
        map.with(listener, |_, ch| resolve(ch, &worker_rule)).unwrap();
        until(&mut map, || worker_rule.addresses[0].borrow().is_some());
        (network, map, worker_rule)
    }

    #[track_caller]
    fn until(map: &mut EventLoop, done: impl Fn() -> bool) {
        for _ in 0..1_000 {
            if done() {
                return;
            }
            let _ = map.poll(Some(Duration::from_millis(1))).unwrap();
        }
        panic!("never");
    }

    #[test]
    fn an_address_at_which_the_rule_itself_listens_is_left_out() {
        let (_network, _map, worker_rule) = looked_up(&["192.0.2.1", "192.0.2.9"]);
        let known = worker_rule.addresses[0].borrow().clone();
        assert_eq!(known, Some(vec!["192.0.2.9:80".parse().unwrap()]));
    }

    #[test]
    fn a_rule_that_leads_to_itself_alone_ends_its_clients_and_does_not_go_round() {
        let (network, mut map, worker_rule) = looked_up(&["192.0.2.1"]);
        let client = network.connect("192.0.2.1:80".parse().unwrap());
        until(&mut map, || client.was_reset());
        assert_eq!(worker_rule.state.counts().admitted(), 1);
        let error = worker_rule.state.targets()[0].last_error(map.now()).unwrap().text;
        assert_eq!(error, "every address of web.example is where this rule itself listens");
    }
}
