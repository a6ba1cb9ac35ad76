//! All that can be said about a rule.

use clap::Args;
use ipnet::IpNet;
use schemars::JsonSchema;
use serde::Deserialize;

use super::model::{
    Access, Balance, Check, Limits, Listen, ProxyProtocol, Rule, Target, Timeouts, UnixOwner,
};
use super::proxy_send::ProxySend;
use super::value::{Count, Expect, Net, OrNone, Period, Rate, UnixMode};

/// All that can be said about a rule: in a file's `[[rule]]`, for all of them in `[defaults]`, and on
/// the command line for the rules that are there. What is not said is `None`.
#[derive(Args, Clone, Debug, Default, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Rule", description = "A rule, or the defaults of all.")]
#[command(next_help_heading = "Targets of a rule")]
pub struct RuleOptions {
    /// What logs, metrics and the status page call the rule [default: its listening address]
    #[arg(skip)]
    pub name: Option<String>,

    /// Where the rule listens: `8080`, `10.0.0.1:80`, `*:80`, `[::1]:80`, `udp:5353`, `unix:/run/x.sock`.
    #[arg(skip)]
    pub listen: Option<Listen>,

    /// Where its connections go: `10.0.0.5:80`, `example.com:80*3` (with a weight), `unix:/run/x.sock`.
    #[arg(skip)]
    pub targets: Option<Vec<Target>>,

    /// How a connection's target is chosen [default: round-robin]
    #[arg(long, value_name = "HOW")]
    pub balance: Option<Balance>,

    /// How often the targets' names are looked up again [default: 30s]
    #[arg(long, value_name = "TIME")]
    pub resolve_every: Option<Period>,

    /// How often each target is checked, or none [default: none]
    ///
    /// A target that fails two checks in a row gets no connections until it passes one. Without
    /// checks, it is the next connection that finds out, and goes on to another target. If only one
    /// of the two options below is given, targets are checked every 5s.
    #[arg(long, value_name = "TIME")]
    pub check_every: Option<OrNone<Period>>,

    /// How long a check may take [default: 2s]
    #[arg(long, value_name = "TIME")]
    pub check_timeout: Option<Period>,

    /// What a healthy target sends first [default: accepting is enough]
    ///
    /// Text, with \r, \n, \t, \0, \\ and \xNN for other bytes; at most 1024 bytes.
    #[arg(long, value_name = "TEXT")]
    pub check_expect: Option<Expect>,

    /// How long a target may take to accept [default: 10s]
    #[arg(long, value_name = "TIME", help_heading = TIME)]
    pub connect_timeout: Option<Period>,

    /// How long a connection may be silent in both directions, or none [default: 1h]
    #[arg(long, value_name = "TIME", help_heading = TIME)]
    pub idle_timeout: Option<OrNone<Period>>,

    /// How long a connection may last altogether, or none [default: none]
    #[arg(long, value_name = "TIME", help_heading = TIME)]
    pub lifetime: Option<OrNone<Period>>,

    /// How long queued bytes may wait for a side that takes none, or none [default: none]
    ///
    /// Then both sides are reset. A side that reads nothing can be alive, such as a paused download,
    /// which is why there is no limit by default: a connection on which nothing moves ends by
    /// --idle-timeout, and so does one whose last bytes wait after one side has gone.
    #[arg(long, value_name = "TIME", help_heading = TIME)]
    pub send_timeout: Option<OrNone<Period>>,

    /// How long sent bytes may stay unacknowledged, or none for the system's limit [default: none]
    ///
    /// TCP_USER_TIMEOUT on both sides, where the system has it (Linux): TCP gives up a peer whose
    /// machine or network is gone after this time instead of about 15 minutes. It also gives up a
    /// peer that is there and lets no bytes in for so long.
    #[arg(long, value_name = "TIME", help_heading = TIME)]
    pub user_timeout: Option<OrNone<Period>>,

    /// Silence after which TCP probes whether the peer is there, or none [default: 60s]
    #[arg(long, value_name = "TIME", help_heading = TIME)]
    pub keepalive: Option<OrNone<Period>>,

    /// Silence after which a UDP client's session ends [default: 60s]
    #[arg(long, value_name = "TIME", help_heading = TIME)]
    pub udp_session: Option<Period>,

    /// Maximum connections open at once, per rule [default: 10000]
    ///
    /// Further clients wait in the system's queue (--backlog) until others have gone; datagrams of
    /// further clients are dropped.
    #[arg(long, value_name = "N", help_heading = LIMITS)]
    pub max_connections: Option<Count>,

    /// Maximum connections open at once, per client address, or none [default: none]
    ///
    /// Of IPv6, all addresses of a network are one client, see --ipv6-client-prefix. Further
    /// connections of that client are closed at once: if they waited in the system's queue, so would
    /// all behind them.
    #[arg(long, value_name = "N", help_heading = LIMITS)]
    pub max_connections_per_client: Option<OrNone<Count>>,

    /// Bits of an IPv6 address that tell one client from another [default: 64]
    ///
    /// Whoever has IPv6 usually has all addresses of a /64 to connect from, so they count as one
    /// client. With 128 each address is a client.
    #[arg(long, value_name = "N", help_heading = LIMITS)]
    pub ipv6_client_prefix: Option<Count>,

    /// Maximum new connections a second, per rule, or none [default: none]
    ///
    /// Further clients wait in the system's queue (--backlog) until it is their turn; datagrams of
    /// further clients are dropped.
    #[arg(long, value_name = "N", help_heading = LIMITS)]
    pub connections_per_second: Option<OrNone<Count>>,

    /// Maximum bytes a second, per rule, or none [default: none]
    ///
    /// Both directions count together. 10MiB is 10 * 1024 * 1024 bytes, 10MB is 10 million.
    #[arg(long, value_name = "BYTES", help_heading = LIMITS)]
    pub rate: Option<OrNone<Rate>>,

    /// Maximum bytes a second, per connection, or none [default: none]
    ///
    /// Both directions count together.
    #[arg(long, value_name = "BYTES", help_heading = LIMITS)]
    pub rate_per_connection: Option<OrNone<Rate>>,

    /// Connections that the system queues until they are accepted [default: 4096]
    ///
    /// The system has a limit of its own: net.core.somaxconn on Linux.
    #[arg(long, value_name = "N", help_heading = LIMITS)]
    pub backlog: Option<Count>,

    /// Networks that may connect; repeat, or separate by commas [default: everybody]
    #[arg(long, value_name = "CIDR", value_delimiter = ',', help_heading = ACCESS)]
    pub allow: Option<Vec<Net>>,

    /// Networks that may not connect, even if they are allowed [default: nobody]
    #[arg(long, value_name = "CIDR", value_delimiter = ',', help_heading = ACCESS)]
    pub deny: Option<Vec<Net>>,

    /// Networks whose connections begin with a PROXY header, v1 or v2 [default: nobody]
    ///
    /// The header says who the client is, so name only proxies that you trust. A connection from
    /// there without one is refused; from anywhere else a header is not taken for one.
    #[arg(long, value_name = "CIDR", value_delimiter = ',', help_heading = ACCESS)]
    pub proxy_accept_from: Option<Vec<Net>>,

    /// PROXY header that tells targets who the client is [default: none]
    #[arg(long, value_name = "VERSION", help_heading = ACCESS)]
    pub proxy_send: Option<ProxySend>,

    /// Permissions of the Unix socket that the rule listens on [default: by the umask]
    ///
    /// In octal digits, such as 0660.
    #[arg(long, value_name = "MODE", help_heading = ACCESS)]
    pub unix_mode: Option<UnixMode>,

    /// Owner of the Unix socket that the rule listens on [default: the process's]
    ///
    /// USER:GROUP, USER or :GROUP; names or numbers.
    #[arg(long, value_name = "OWNER", help_heading = ACCESS)]
    pub unix_owner: Option<UnixOwner>,
}

const TIME: &str = "Times of a rule";
const LIMITS: &str = "Limits of a rule";
const ACCESS: &str = "Access to a rule";

impl RuleOptions {
    /// What is said here, and otherwise what `defaults` say.
    pub(super) fn or(self, defaults: &RuleOptions) -> Self {
        let base = defaults.clone();
        RuleOptions {
            name: self.name,
            listen: self.listen,
            targets: self.targets,
            balance: self.balance.or(base.balance),
            resolve_every: self.resolve_every.or(base.resolve_every),
            check_every: self.check_every.or(base.check_every),
            check_timeout: self.check_timeout.or(base.check_timeout),
            check_expect: self.check_expect.or(base.check_expect),
            connect_timeout: self.connect_timeout.or(base.connect_timeout),
            idle_timeout: self.idle_timeout.or(base.idle_timeout),
            lifetime: self.lifetime.or(base.lifetime),
            send_timeout: self.send_timeout.or(base.send_timeout),
            user_timeout: self.user_timeout.or(base.user_timeout),
            keepalive: self.keepalive.or(base.keepalive),
            udp_session: self.udp_session.or(base.udp_session),
            max_connections: self.max_connections.or(base.max_connections),
            max_connections_per_client: self
                .max_connections_per_client
                .or(base.max_connections_per_client),
            ipv6_client_prefix: self.ipv6_client_prefix.or(base.ipv6_client_prefix),
            connections_per_second: self.connections_per_second.or(base.connections_per_second),
            rate: self.rate.or(base.rate),
            rate_per_connection: self.rate_per_connection.or(base.rate_per_connection),
            backlog: self.backlog.or(base.backlog),
            allow: self.allow.or(base.allow),
            deny: self.deny.or(base.deny),
            proxy_accept_from: self.proxy_accept_from.or(base.proxy_accept_from),
            proxy_send: self.proxy_send.or(base.proxy_send),
            unix_mode: self.unix_mode.or(base.unix_mode),
            unix_owner: self.unix_owner.or(base.unix_owner),
        }
    }

    /// The rule from `listen` to `targets` with these options, and the usual values for the rest.
    pub fn rule(self, listen: Listen, targets: Vec<Target>) -> Rule {
        let usual = Rule::new(listen, targets);
        let Timeouts { connect, idle, lifetime, send, tcp_user, udp_session } = usual.timeouts;
        let limits = usual.limits;
        Rule {
            check: self.check(),
            name: self.name.unwrap_or(usual.name),
            listen: usual.listen,
            targets: usual.targets,
            balance: self.balance.unwrap_or(usual.balance),
            timeouts: Timeouts {
                connect: self.connect_timeout.map_or(connect, |Period(time)| time),
                idle: chosen(self.idle_timeout, |Period(time)| time, idle),
                lifetime: chosen(self.lifetime, |Period(time)| time, lifetime),
                send: chosen(self.send_timeout, |Period(time)| time, send),
                tcp_user: chosen(self.user_timeout, |Period(time)| time, tcp_user),
                udp_session: self.udp_session.map_or(udp_session, |Period(time)| time),
            },
            limits: Limits {
                max_connections: self.max_connections.map_or(limits.max_connections, size),
                max_connections_per_client: chosen(
                    self.max_connections_per_client,
                    size,
                    limits.max_connections_per_client,
                ),
                ipv6_client_prefix: self.ipv6_client_prefix.map_or(
                    limits.ipv6_client_prefix,
                    // What is too much is refused when it is checked.
                    |Count(n)| u8::try_from(n).unwrap_or(u8::MAX),
                ),
                connections_per_second: chosen(
                    self.connections_per_second,
                    |Count(n)| n,
                    limits.connections_per_second,
                ),
                bytes_per_second: chosen(self.rate, |Rate(n)| n, limits.bytes_per_second),
                bytes_per_second_per_connection: chosen(
                    self.rate_per_connection,
                    |Rate(n)| n,
                    limits.bytes_per_second_per_connection,
                ),
            },
            access: Access { allow: nets(self.allow), deny: nets(self.deny) },
            proxy_protocol: ProxyProtocol {
                accept_from: nets(self.proxy_accept_from),
                send: self.proxy_send.and_then(ProxySend::version),
            },
            keepalive: chosen(self.keepalive, |Period(time)| time, usual.keepalive),
            backlog: self.backlog.map_or(usual.backlog, |Count(n)| n),
            resolve_every: self.resolve_every.map_or(usual.resolve_every, |Period(time)| time),
            unix_mode: self.unix_mode.map(|UnixMode(mode)| mode),
            unix_owner: self.unix_owner,
        }
    }

    fn check(&self) -> Option<Check> {
        let usual = Check::default();
        let asked = self.check_timeout.is_some() || self.check_expect.is_some();
        let every = match self.check_every {
            None => asked.then_some(usual.every),
            Some(OrNone(every)) => every.map(|Period(time)| time),
        };
        every.map(|every| Check {
            every,
            timeout: self.check_timeout.map_or(usual.timeout.min(every), |Period(time)| time),
            expect: self.check_expect.clone().map(|Expect(bytes)| bytes),
        })
    }
}

fn chosen<T, U>(said: Option<OrNone<T>>, value: impl Fn(T) -> U, usual: Option<U>) -> Option<U> {
    said.map_or(usual, |OrNone(limit)| limit.map(value))
}

fn size(Count(n): Count) -> usize {
    n as usize
}

fn nets(list: Option<Vec<Net>>) -> Vec<IpNet> {
    list.unwrap_or_default().into_iter().map(|Net(net)| net).collect()
}
