//! The table of the servers compared.

use clap::ValueEnum;

use crate::program::Label;

/// The binary of [`Peer::Asyncore`].
pub(crate) const ASYNCORE: &str = "echo_asyncore";

/// One echo server; its name on the command line is the variant in kebab case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ValueEnum)]
pub(crate) enum Peer {
    /// This project's library
    Asyncore,
    /// The same with a layer on each connection that copies bytes
    AsyncoreLayer,
    /// Hand-written, level-triggered epoll: the baseline
    RawEpoll,
    /// The same in C, through libc, which shows the cost of the C library's system call wrappers
    RawEpollC,
    /// mio, edge-triggered
    Mio,
    /// calloop, an event source for each connection
    Calloop,
    /// tokio on its current-thread runtime, a task for each connection
    Tokio,
    /// libevent's plain events
    LibeventEvent,
    /// libevent's bufferevents
    LibeventBufferevent,
    /// libuv
    Libuv,
    /// The asyncore module of Python 3.11 and earlier, on poll
    PythonAsyncore,
}

/// The kinds of servers and how to obtain them.
pub(crate) enum Origin {
    /// A binary of this package around the named package.
    Rust { binary: &'static str, package: &'static str },
    /// `peers/<program>.c`, which needs a header and a library.
    C {
        program: &'static str,
        header: &'static str,
        library: &'static str,
        debian_package: &'static str,
    },
    /// `peers/<script>`, which needs an interpreter that can import `module`.
    Python { script: &'static str, module: &'static str },
}

impl Label for Peer {
    fn label(&self) -> &'static str {
        match self {
            Peer::Asyncore => "asyncore",
            Peer::AsyncoreLayer => "asyncore, copying layer",
            Peer::RawEpoll => "raw epoll",
            Peer::RawEpollC => "raw epoll in C",
            Peer::Mio => "mio",
            Peer::Calloop => "calloop",
            Peer::Tokio => "tokio",
            Peer::LibeventEvent => "libevent, events",
            Peer::LibeventBufferevent => "libevent, bufferevents",
            Peer::Libuv => "libuv",
            Peer::PythonAsyncore => "Python's asyncore",
        }
    }
}

impl Peer {
    pub(crate) fn origin(self) -> Origin {
        let rust = |binary, package| Origin::Rust { binary, package };
        let libevent = |program| Origin::C {
            program,
            header: "event2/event.h",
            library: "event_core",
            debian_package: "libevent-dev",
        };
        match self {
            Peer::Asyncore => rust(ASYNCORE, "asyncore-rs"),
            Peer::RawEpoll => rust("echo_raw_epoll", "rustix"),
            Peer::AsyncoreLayer => rust("echo_asyncore_layer", "asyncore-rs"),
            Peer::RawEpollC => Origin::C {
                program: "echo_raw_epoll_c",
                header: "sys/epoll.h",
                library: "c",
                debian_package: "libc6-dev",
            },
            Peer::Mio => rust("echo_mio", "mio"),
            Peer::Calloop => rust("echo_calloop", "calloop"),
            Peer::Tokio => rust("echo_tokio", "tokio"),
            Peer::LibeventEvent => libevent("echo_libevent_event"),
            Peer::LibeventBufferevent => libevent("echo_libevent_bufferevent"),
            Peer::Libuv => Origin::C {
                program: "echo_libuv",
                header: "uv.h",
                library: "uv",
                debian_package: "libuv1-dev",
            },
            Peer::PythonAsyncore => {
                Origin::Python { script: "echo_asyncore.py", module: "asyncore" }
            }
        }
    }
}
