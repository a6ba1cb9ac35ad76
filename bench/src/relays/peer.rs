//! The table of the relays compared.

use clap::ValueEnum;

/// One relay; the name on the command line is the variant's in kebab case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ValueEnum)]
pub(crate) enum Peer {
    /// This project's program
    Forwarder,
    /// This project's program at an earlier commit, which --base names
    #[value(skip)]
    Base,
    /// HAProxy in TCP mode, splice forced, one thread
    Haproxy,
    /// nginx's stream module, half-close kept, one worker
    Nginx,
    /// socat, a process for each connection
    Socat,
    /// rinetd
    Rinetd,
    /// realm's core, as its program starts it
    Realm,
    /// systemd-socket-proxyd
    SocketProxyd,
    /// tokio's copy_bidirectional on its current-thread runtime
    Tokio,
    /// The classic script on the asyncore module of Python 3.11 and earlier
    PythonAsyncore,
    /// Hand-written epoll with nothing else to do: the floor
    RawEpoll,
    /// No relay: the client is connected to the target itself
    Direct,
}

/// Where a relay's program comes from.
pub(crate) enum Origin {
    /// A binary of the forwarder's package.
    Forwarder,
    /// The same at an earlier commit.
    Base,
    /// A binary of this package around the named package.
    Rust { binary: &'static str, package: &'static str },
    /// The package in `peers` of this name, around the named package.
    Apart { name: &'static str, package: &'static str },
    /// A program that is installed, with what makes it tell its version.
    Installed { program: &'static str, version: &'static str, remedy: &'static str },
    /// A script of this package, for an interpreter that can import `module`.
    Python { script: &'static str, module: &'static str },
    /// Nothing to be started.
    Nothing,
}

impl Peer {
    pub(crate) fn label(self) -> &'static str {
        match self {
            Peer::Forwarder => "forwarder",
            Peer::Base => "forwarder before",
            Peer::Haproxy => "HAProxy",
            Peer::Nginx => "nginx",
            Peer::Socat => "socat",
            Peer::Rinetd => "rinetd",
            Peer::Realm => "realm",
            Peer::SocketProxyd => "systemd-socket-proxyd",
            Peer::Tokio => "tokio",
            Peer::PythonAsyncore => "Python's asyncore",
            Peer::RawEpoll => "raw epoll",
            Peer::Direct => "no relay",
        }
    }

    pub(crate) fn origin(self) -> Origin {
        let installed = |program, version, remedy| Origin::Installed { program, version, remedy };
        match self {
            Peer::Forwarder => Origin::Forwarder,
            Peer::Base => Origin::Base,
            Peer::Haproxy => installed("haproxy", "-v", "on Debian: apt-get install haproxy"),
            Peer::Nginx => {
                installed("nginx", "-v", "on Debian: apt-get install nginx libnginx-mod-stream")
            }
            Peer::Socat => installed("socat", "-V", "on Debian: apt-get install socat"),
            Peer::Rinetd => installed("rinetd", "-v", "on Debian: apt-get install rinetd"),
            Peer::Realm => Origin::Apart { name: "relay_realm", package: "realm_core" },
            Peer::SocketProxyd => installed(
                "systemd-socket-activate",
                "--version",
                "on Debian: apt-get install systemd",
            ),
            Peer::Tokio => Origin::Rust { binary: "relay_tokio", package: "tokio" },
            Peer::PythonAsyncore => {
                Origin::Python { script: "relay_asyncore.py", module: "asyncore" }
            }
            Peer::RawEpoll => Origin::Rust { binary: "relay_raw_epoll", package: "rustix" },
            Peer::Direct => Origin::Nothing,
        }
    }

    /// Whether the forwarder is to be measured against it. The floor has no limits, counters or
    /// log, and passes on no half-close: it is there to tell what remains.
    pub(crate) fn is_rival(self) -> bool {
        !matches!(self, Peer::Forwarder | Peer::Base | Peer::RawEpoll | Peer::Direct)
    }

    /// The most idle connections that it is given, of those asked for.
    pub(crate) fn idle_limit(self) -> usize {
        match self {
            // select(2) ends at 1,024 descriptors, and a connection takes two.
            Peer::Rinetd => 400,
            // Six descriptors a connection.
            Peer::SocketProxyd => 2_000,
            // A process each.
            Peer::Socat => 500,
            // Every call of poll(2) looks at all of them.
            Peer::PythonAsyncore => 500,
            _ => usize::MAX,
        }
    }
}
