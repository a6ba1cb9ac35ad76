//! The rules on a command line, in each of the three ways to write them.

use std::net::Ipv4Addr;

use crate::config::invalid::quoted;
use crate::config::model::{Endpoint, Listen, Target};
use crate::config::nearest::nearest;
use crate::config::rule::Route;

use super::args::{Args, Port};
use super::usage::Usage;

/// The classic rule first, then pairs, then `--rule`.
pub(super) fn routes(args: &Args) -> Result<Vec<Route>, Usage> {
    let mut routes: Vec<Route> = classic(args)?.into_iter().collect();
    for pair in args.pairs.chunks(2) {
        match pair {
            [listen, targets] => routes.push(Route::new(listen, targets)?),
            rest => return Err(unpaired(rest)),
        }
    }
    routes.extend(args.rule.iter().cloned());
    Ok(routes)
}

/// From 127.0.0.1:8080 to the built-in site, whose port is not known yet.
pub(super) fn demo() -> Route {
    let site = Endpoint::Host(Ipv4Addr::LOCALHOST.to_string(), 0);
    Route {
        listen: Listen::Tcp((Ipv4Addr::LOCALHOST, 8080).into()),
        targets: vec![Target::from(site)],
    }
}

fn classic(args: &Args) -> Result<Option<Route>, Usage> {
    let Some(host) = &args.remote_ip else {
        let lonely = [
            (args.local_ip.is_some(), "--local-ip"),
            (args.local_port.is_some(), "--local-port"),
            (args.remote_port.is_some(), "--remote-port"),
        ];
        return match lonely.into_iter().find(|(is_given, _)| *is_given) {
            None => Ok(None),
            Some((_, option)) => Err(Usage::new(format!(
                "{option} needs --remote-ip: say where to forward to, as in -p 8080 -r 10.0.0.5 -P 80"
            ))),
        };
    };
    let port = |given: Option<Port>| given.map_or(80, |Port(port)| port);
    let own = args.local_ip.as_deref().unwrap_or("127.0.0.1");
    let listen = Listen::tcp(own, port(args.local_port))
        .map_err(|invalid| Usage::new(format!("--local-ip: {invalid}")))?;
    let endpoint = Endpoint::host(host, port(args.remote_port))
        .map_err(|invalid| Usage::new(format!("--remote-ip: {invalid}")))?;
    Ok(Some(Route { listen, targets: vec![endpoint.into()] }))
}

fn unpaired(rest: &[String]) -> Usage {
    let word = rest.first().map_or("", String::as_str);
    Usage::new(match nearest(word, &["top", "completions", "man", "schema"]) {
        Some(task) if task == word => {
            format!("'{task}' stands alone: write 'forwarder {task}' without other options")
        }
        Some(task) => format!("{} is not known: did you mean 'forwarder {task}'?", quoted(word)),
        None => format!(
            "{} has no target beside it: write LISTEN and TARGET, such as 8080 10.0.0.5:80",
            quoted(word)
        ),
    })
}
