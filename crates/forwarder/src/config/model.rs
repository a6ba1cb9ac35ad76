//! What the forwarder is told to do, after it was parsed and checked.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use ipnet::IpNet;
use schemars::JsonSchema;
use serde::Deserialize;

pub use super::capture::{Capture, CaptureFilter, Pcapng};
pub use super::log::{Log, LogFormat, LogLevel};
pub use super::status::Status;

/// Everything: the process and its rules.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Loops on threads that share the listening ports; at least 1.
    pub workers: usize,
    /// How long a stop waits for the connections that are open.
    pub drain: Duration,
    /// Connections in all rules together; further clients wait.
    pub max_connections: usize,
    /// The status page; `None` is without one.
    pub status: Option<Status>,
    /// What is logged, and how.
    pub log: Log,
    /// Whose bytes are shown or written down.
    pub capture: Capture,
    /// The Unix socket over which one process hands its listening sockets to the next.
    pub handover: Option<PathBuf>,
    /// The file that holds the process's number while it runs.
    pub pid_file: Option<PathBuf>,
    /// User to become after binding: a name or a number.
    pub user: Option<String>,
    /// Group to become after binding: a name or a number; the user's own by default.
    pub group: Option<String>,
    /// Root directory to change to after binding.
    pub chroot: Option<PathBuf>,
    /// Reload when the configuration file changes.
    pub reload_on_change: bool,
    /// In the order in which they were written.
    pub rules: Vec<Rule>,
}

/// One listener and where its connections go.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Unique; by default the listening address.
    pub name: String,
    /// Where it listens.
    pub listen: Listen,
    /// At least one.
    pub targets: Vec<Target>,
    /// Which of them a connection goes to.
    pub balance: Balance,
    /// Active checks of the targets; `None` is without.
    pub check: Option<Check>,
    /// How long things may take.
    pub timeouts: Timeouts,
    /// How much may be going on.
    pub limits: Limits,
    /// Who may connect.
    pub access: Access,
    /// Who the client is, as proxies tell each other.
    pub proxy_protocol: ProxyProtocol,
    /// Silence after which TCP asks whether the peer is still there; `None` never asks.
    pub keepalive: Option<Duration>,
    /// Connections that the system holds until they are accepted.
    pub backlog: u32,
    /// How often the targets' names are looked up again.
    pub resolve_every: Duration,
    /// Permissions of the Unix socket that the rule listens on; `None` leaves them to the umask.
    pub unix_mode: Option<u32>,
    /// Owner of the Unix socket that the rule listens on.
    pub unix_owner: Option<UnixOwner>,
}

/// Owner of a Unix socket; names or numbers. At least one of the two is set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnixOwner {
    /// The user.
    pub user: Option<String>,
    /// The group.
    pub group: Option<String>,
}

/// Where a rule listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Listen {
    /// For connections. The unspecified IPv6 address takes IPv4 as well.
    Tcp(SocketAddr),
    /// For datagrams. The unspecified IPv6 address takes IPv4 as well.
    Udp(SocketAddr),
    /// For connections on this machine.
    Unix(PathBuf),
}

/// Where a rule's connections go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The address.
    pub endpoint: Endpoint,
    /// Its share, from 1 on; a target of weight 0 gets nothing new: it is drained.
    pub weight: u32,
}

/// An address to connect to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Endpoint {
    /// A name or an address, and a port.
    Host(String, u16),
    /// A socket on this machine.
    Unix(PathBuf),
}

/// Which target a connection goes to.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Balance {
    /// One after the other.
    #[default]
    RoundRobin,
    /// The one that has the fewest.
    LeastConnections,
    /// The same client to the same target, as long as that is well.
    ClientHash,
    /// The first that is well: the others stand by.
    First,
}

/// Asking targets whether they are well, without waiting for a client to find out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// From one check to the next.
    pub every: Duration,
    /// For connecting and answering together.
    pub timeout: Duration,
    /// What the target has to say first; `None` is content with a connection.
    pub expect: Option<Vec<u8>>,
}

/// How long things may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For a target to accept.
    pub connect: Duration,
    /// Without a byte either way.
    pub idle: Option<Duration>,
    /// From accept to end, whatever happens in between.
    pub lifetime: Option<Duration>,
    /// For queued bytes to wait while the peer takes none of them.
    pub send: Option<Duration>,
    /// For sent bytes to stay unacknowledged (`TCP_USER_TIMEOUT`); `None` is the system's limit.
    pub tcp_user: Option<Duration>,
    /// A client's datagrams belong together until it is silent for this long.
    pub udp_session: Duration,
}

/// How much may be going on; `None` is without a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Open at once; further clients wait.
    pub max_connections: usize,
    /// Open at once from one client; further connections are refused.
    pub max_connections_per_client: Option<usize>,
    /// How many bits of an IPv6 address tell one client from another, 1 to 128.
    pub ipv6_client_prefix: u8,
    /// Newly accepted.
    pub connections_per_second: Option<u32>,
    /// Both directions together.
    pub bytes_per_second: Option<u64>,
    /// Both directions together.
    pub bytes_per_second_per_connection: Option<u64>,
}

/// Who may connect: denied first, then allowed; an empty `allow` is everybody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// Nobody else may, if there are any.
    pub allow: Vec<IpNet>,
    /// These may not, even when they are allowed.
    pub deny: Vec<IpNet>,
}

/// The PROXY protocol: who the client is, told by one proxy to the next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProxyProtocol {
    /// Who must begin with a header; from anybody else one is not accepted. Empty is nobody.
    pub accept_from: Vec<IpNet>,
    /// What the target is told.
    pub send: Option<ProxyVersion>,
}

/// Text or binary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyVersion {
    /// A line of text.
    V1,
    /// Binary.
    V2,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            workers: 1,
            drain: Duration::from_secs(30),
            max_connections: 100_000,
            status: None,
            log: Log::default(),
            capture: Capture::default(),
            handover: None,
            pid_file: None,
            user: None,
            group: None,
            chroot: None,
            reload_on_change: false,
            rules: Vec::new(),
        }
    }
}

impl Rule {
    /// A rule with all its options at their defaults.
    pub fn new(listen: Listen, targets: Vec<Target>) -> Self {
        Rule {
            name: listen.to_string(),
            listen,
            targets,
            balance: Balance::default(),
            check: None,
            timeouts: Timeouts::default(),
            limits: Limits::default(),
            access: Access::default(),
            proxy_protocol: ProxyProtocol::default(),
            keepalive: Some(Duration::from_secs(60)),
            backlog: 4096,
            resolve_every: Duration::from_secs(30),
            unix_mode: None,
            unix_owner: None,
        }
    }
}

impl Default for Check {
    fn default() -> Self {
        Check { every: Duration::from_secs(5), timeout: Duration::from_secs(2), expect: None }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Timeouts {
            connect: Duration::from_secs(10),
            idle: Some(Duration::from_secs(3600)),
            lifetime: None,
            send: None,
            tcp_user: None,
            udp_session: Duration::from_secs(60),
        }
    }
}

impl Timeouts {
    /// How long the rest of the bytes may wait while the peer takes none of them; without a limit
    /// of its own, as long as a connection may be idle.
    pub fn stall(&self) -> Option<Duration> {
        self.send.or(self.idle)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            max_connections: 10_000,
            max_connections_per_client: None,
            ipv6_client_prefix: 64,
            connections_per_second: None,
            bytes_per_second: None,
            bytes_per_second_per_connection: None,
        }
    }
}
