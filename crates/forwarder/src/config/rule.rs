//! The options of a rule, in one table.
//!
//! A field of [`Rule`] is an option: its comment is the help, the manual and the description in the
//! schema; its attributes give the name on the command line, the default and the notation. Files,
//! the command line, the schema and [`Rule::default`] follow from it.

use std::sync::LazyLock;
use std::time::Duration;

use clap::builder::PossibleValuesParser;
use clap::builder::TypedValueParser as _;
use clap::{Args, ValueEnum};
use ipnet::IpNet;
use schemars::JsonSchema;
use serde::Deserialize;

use super::address::Listen;
use super::diagnostic::ParseError;
use super::notation::{ConfigList, ConfigValue, Limit, Notation, OptionalLimit};
use super::target::{Route, Target};
use super::value::{Escaped, FileMode, Network, Number, Rate, Time, UnixOwner};

/// A listener, where its connections go, and how.
#[derive(Args, Clone, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(default)]
#[schemars(description = "A rule, or the defaults of all.")]
#[command(next_help_heading = "Targets of a rule")]
pub struct Rule {
    /// Name of the rule in logs, metrics and the status page [default: its listening address]
    #[arg(skip)]
    pub name: String,

    /// Where the rule listens: `8080`, `10.0.0.1:80`, `*:80`, `[::1]:80`, `udp:5353`, `unix:/run/x.sock`.
    #[arg(skip = Listen::Tcp(([127, 0, 0, 1], 0).into()))]
    #[serde(with = "ConfigValue::<Listen>")]
    pub listen: Listen,

    /// Where its connections go: `10.0.0.5:80`, `example.com:80*3` (with a weight), `unix:/run/x.sock`.
    #[arg(skip)]
    #[serde(with = "ConfigList::<Target>")]
    pub targets: Vec<Target>,

    /// How a connection's target is chosen
    #[arg(long, value_name = "HOW", default_value = "round-robin")]
    pub balance: Balance,

    /// How often the targets' names are looked up again
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = ResolveEvery::parse)]
    #[serde(with = "ConfigValue::<ResolveEvery>")]
    pub resolve_every: Duration,

    /// How often each target is checked, or none [default: none]
    ///
    /// A target that fails two checks in a row gets no connections until it passes one. Without
    /// checks, the next connection finds out, and goes on to another target. If only one of the two
    /// options below is given, targets are checked every 5s.
    #[arg(long, value_name = "TIME", value_parser = OptionalLimit::<CheckEvery>::parse)]
    #[serde(with = "ConfigValue::<Option<OptionalLimit<CheckEvery>>>")]
    pub check_every: Option<Limit<Duration>>,

    /// How long a check may take [default: 2s]
    #[arg(long, value_name = "TIME", value_parser = <Time>::parse)]
    #[serde(with = "ConfigValue::<Option<Time>>")]
    pub check_timeout: Option<Duration>,

    /// First bytes that a healthy target sends [default: accepting is enough]
    ///
    /// Text, with \r, \n, \t, \0, \\ and \xNN for other bytes; at most 1024 bytes.
    #[arg(long, value_name = "TEXT", value_parser = check_expect)]
    #[serde(with = "ConfigValue::<Option<Escaped>>")]
    pub check_expect: Option<Bytes>,

    /// How long a target may take to accept
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = <Time>::parse)]
    #[arg(help_heading = TIMES)]
    #[serde(with = "ConfigValue::<Time>")]
    pub connect_timeout: Duration,

    /// How long a connection may be silent in both directions, or none
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = Timeout::parse)]
    #[arg(help_heading = TIMES)]
    #[serde(with = "ConfigValue::<Timeout>")]
    pub idle_timeout: Limit<Duration>,

    /// How long a connection may last altogether, or none
    #[arg(long, value_name = "TIME", default_value = "none", value_parser = Timeout::parse)]
    #[arg(help_heading = TIMES)]
    #[serde(with = "ConfigValue::<Timeout>")]
    pub lifetime: Limit<Duration>,

    /// How long queued bytes may wait for a side that takes none, or none
    ///
    /// Then both sides are reset. A side that reads nothing can be alive, such as a paused download,
    /// which is why there is no limit by default: a connection on which nothing moves ends by
    /// --idle-timeout, and so does one whose last bytes wait after one side has gone.
    #[arg(long, value_name = "TIME", default_value = "none", value_parser = Timeout::parse)]
    #[arg(help_heading = TIMES)]
    #[serde(with = "ConfigValue::<Timeout>")]
    pub send_timeout: Limit<Duration>,

    /// How long sent bytes may stay unacknowledged, or none for the system's limit
    ///
    /// TCP_USER_TIMEOUT on both sides, where the system has it (Linux): TCP gives up a peer whose
    /// machine or network is gone after this time instead of about 15 minutes. It also gives up a
    /// peer that is there and takes no bytes for so long.
    #[arg(long, value_name = "TIME", default_value = "none", value_parser = UserTimeout::parse)]
    #[arg(help_heading = TIMES)]
    #[serde(with = "ConfigValue::<UserTimeout>")]
    pub user_timeout: Limit<Duration>,

    /// Silence after which TCP probes whether the peer is there, or none
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = Keepalive::parse)]
    #[arg(help_heading = TIMES)]
    #[serde(with = "ConfigValue::<Keepalive>")]
    pub keepalive: Limit<Duration>,

    /// Silence after which a UDP client's session ends
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = <Time>::parse)]
    #[arg(help_heading = TIMES)]
    #[serde(with = "ConfigValue::<Time>")]
    pub udp_session: Duration,

    /// Maximum connections open at once, per rule
    ///
    /// Further clients wait in the system's queue (--backlog) until others have gone; datagrams of
    /// further clients are dropped.
    #[arg(long, value_name = "N", default_value = "10000", value_parser = Number::<usize>::parse)]
    #[arg(help_heading = LIMITS)]
    #[serde(with = "ConfigValue::<Number<usize>>")]
    pub max_connections: usize,

    /// Maximum connections open at once, per client address, or none
    ///
    /// Of IPv6, all addresses of a network are one client, see --ipv6-client-prefix. Further
    /// connections of that client are closed at once: if they waited in the system's queue, so would
    /// all behind them.
    #[arg(long, value_name = "N", default_value = "none", help_heading = LIMITS)]
    #[arg(value_parser = OptionalLimit::<Number<usize>>::parse)]
    #[serde(with = "ConfigValue::<OptionalLimit<Number<usize>>>")]
    pub max_connections_per_client: Limit<usize>,

    /// Bits of an IPv6 address that distinguish clients
    ///
    /// A client with IPv6 usually has all addresses of a /64 to connect from, so they count as one
    /// client. With 128 each address is a client.
    #[arg(long, value_name = "N", default_value = "64", value_parser = PrefixLength::parse)]
    #[arg(help_heading = LIMITS)]
    #[serde(with = "ConfigValue::<PrefixLength>")]
    pub ipv6_client_prefix: u8,

    /// Maximum new connections per second, per rule, or none
    ///
    /// Further clients wait in the system's queue (--backlog) until it is their turn; datagrams of
    /// further clients are dropped.
    #[arg(long, value_name = "N", default_value = "none", help_heading = LIMITS)]
    #[arg(value_parser = OptionalLimit::<Number>::parse)]
    #[serde(with = "ConfigValue::<OptionalLimit<Number>>")]
    pub connections_per_second: Limit<u32>,

    /// Maximum bytes per second, per rule, or none
    ///
    /// Both directions count together. 10MiB is 10 * 1024 * 1024 bytes, 10MB is 10 million.
    #[arg(long, value_name = "BYTES", default_value = "none", help_heading = LIMITS)]
    #[arg(value_parser = OptionalLimit::<Rate>::parse)]
    #[serde(with = "ConfigValue::<OptionalLimit<Rate>>")]
    pub rate: Limit<u64>,

    /// Maximum bytes per second, per connection, or none
    ///
    /// Both directions count together.
    #[arg(long, value_name = "BYTES", default_value = "none", help_heading = LIMITS)]
    #[arg(value_parser = OptionalLimit::<Rate>::parse)]
    #[serde(with = "ConfigValue::<OptionalLimit<Rate>>")]
    pub rate_per_connection: Limit<u64>,

    /// Connections that the system queues until they are accepted
    ///
    /// The system has a limit of its own: net.core.somaxconn on Linux.
    #[arg(long, value_name = "N", default_value = "4096", value_parser = <Number>::parse)]
    #[arg(help_heading = LIMITS)]
    #[serde(with = "ConfigValue::<Number>")]
    pub backlog: u32,

    /// Networks that may connect; repeat, or separate by commas [default: all]
    #[arg(long, value_name = "CIDR", value_delimiter = ',', value_parser = Network::parse)]
    #[arg(help_heading = ACCESS)]
    #[serde(with = "ConfigList::<Network>")]
    pub allow: Vec<IpNet>,

    /// Networks that may not connect, even if they are allowed [default: none]
    #[arg(long, value_name = "CIDR", value_delimiter = ',', value_parser = Network::parse)]
    #[arg(help_heading = ACCESS)]
    #[serde(with = "ConfigList::<Network>")]
    pub deny: Vec<IpNet>,

    /// Networks whose connections begin with a PROXY header, v1 or v2 [default: none]
    ///
    /// The header says who the client is, so name only proxies that you trust. A connection from
    /// there without one is refused; from anywhere else a header is not taken for one.
    #[arg(long, value_name = "CIDR", value_delimiter = ',', value_parser = Network::parse)]
    #[arg(help_heading = ACCESS)]
    #[serde(with = "ConfigList::<Network>")]
    pub proxy_accept_from: Vec<IpNet>,

    /// PROXY header that tells targets who the client is
    #[arg(long, value_name = "VERSION", default_value = "none", help_heading = ACCESS)]
    #[arg(value_parser = PossibleValuesParser::new(OptionalLimit::<ProxyVersion>::EXAMPLES)
        .try_map(|text| OptionalLimit::<ProxyVersion>::parse(&text)))]
    #[serde(with = "ConfigValue::<OptionalLimit<ProxyVersion>>")]
    pub proxy_send: Limit<ProxyVersion>,

    /// Permissions of the Unix socket that the rule listens on [default: by the umask]
    ///
    /// In octal digits, such as 0660.
    #[arg(long, value_name = "MODE", value_parser = FileMode::parse, help_heading = ACCESS)]
    #[serde(with = "ConfigValue::<Option<FileMode>>")]
    pub unix_mode: Option<u32>,

    /// Owner of the Unix socket that the rule listens on [default: the process's]
    ///
    /// USER:GROUP, USER or :GROUP; names or numbers.
    #[arg(long, value_name = "OWNER", value_parser = UnixOwner::parse, help_heading = ACCESS)]
    #[serde(with = "ConfigValue::<Option<UnixOwner>>")]
    pub unix_owner: Option<UnixOwner>,
}

const TIMES: &str = "Times of a rule";
const LIMITS: &str = "Limits of a rule";
const ACCESS: &str = "Access to a rule";

/// Names are looked up at most once a second.
type ResolveEvery = Time<1000>;
/// A target is asked at most ten times a second.
type CheckEvery = Time<100>;
type Timeout = OptionalLimit<Time>;
/// Linux counts TCP_USER_TIMEOUT in milliseconds, up to `i32::MAX`: 24 days and 20 hours.
type UserTimeout = OptionalLimit<Time<1, { (24 * 24 + 20) * 3_600_000 }>>;
/// The system counts TCP's keepalive in seconds, in 15 bits.
type Keepalive = OptionalLimit<Time<1000, 32_767_000>>;
type PrefixLength = Number<u8, 1, 128>;
/// Not a list, to clap.
type Bytes = Vec<u8>;

fn check_expect(text: &str) -> Result<Bytes, ParseError> {
    Escaped::parse(text)
}

/// How a connection's target is chosen.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Balance {
    /// One after the other.
    #[default]
    RoundRobin,
    /// The one that has the fewest connections.
    LeastConnections,
    /// The same client to the same target, as long as that is healthy.
    ClientHash,
    /// The first that is healthy: the others stand by.
    First,
}

/// A version of the PROXY protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyVersion {
    /// A line of text.
    V1,
    /// Binary.
    V2,
}

impl Notation for ProxyVersion {
    type Value = Self;
    const EXPECTED: &'static str = "\"none\", \"v1\" or \"v2\"";
    const EXAMPLES: &'static [&'static str] = &["none", "v1", "v2"];
    const INTEGER: bool = false;

    fn parse(text: &str) -> Result<Self, ParseError> {
        match text {
            "v1" => Ok(ProxyVersion::V1),
            "v2" => Ok(ProxyVersion::V2),
            _ => Err(ParseError::of(text, "is not a version of the PROXY protocol: write v1, v2")),
        }
    }
}

/// Asking targets whether they are healthy, without waiting for a client to find out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// Time from one check to the next.
    pub every: Duration,
    /// Limit on connecting and answering together.
    pub timeout: Duration,
    /// The first bytes that the target has to send; `None` is content with a connection.
    pub expect: Option<Vec<u8>>,
}

impl Default for Check {
    fn default() -> Self {
        Check { every: Duration::from_secs(5), timeout: Duration::from_secs(2), expect: None }
    }
}

impl Default for Rule {
    fn default() -> Self {
        static DEFAULT: LazyLock<Rule> = LazyLock::new(super::defaults);
        DEFAULT.clone()
    }
}

impl Rule {
    /// A rule with all its options at their defaults.
    pub fn new(listen: Listen, targets: Vec<Target>) -> Self {
        Rule { name: listen.to_string(), listen, targets, ..Rule::default() }
    }

    /// The rule for `route` with these options.
    pub fn with_route(&self, Route { listen, targets }: Route) -> Self {
        Rule { name: listen.to_string(), listen, targets, ..self.clone() }
    }

    /// How long the rest of the bytes may wait while the peer takes none of them; without a limit
    /// of its own, as long as a connection may be idle.
    pub fn stall_timeout(&self) -> Option<Duration> {
        self.send_timeout.or(self.idle_timeout)
    }

    /// The active checks of the targets; `None` is without.
    pub fn check(&self) -> Option<Check> {
        let default = Check::default();
        let is_asked = self.check_timeout.is_some() || self.check_expect.is_some();
        let every = self.check_every.unwrap_or(is_asked.then_some(default.every))?;
        let timeout = self.check_timeout.unwrap_or(default.timeout.min(every));
        Some(Check { every, timeout, expect: self.check_expect.clone() })
    }
}
