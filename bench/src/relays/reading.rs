//! The report's prose.

/// What the forwarder makes a kind of system call for, as far as that is known.
pub(crate) fn purpose(kind: &str) -> Option<&'static str> {
    let purpose = match kind {
        "accept4" => "a client",
        "accept4, EAGAIN" => "to see the end of a burst of arrivals",
        "socket" | "connect" | "connect, EINPROGRESS" => "the connection to the target",
        "close" => "both sockets",
        "epoll_ctl EPOLL_CTL_ADD" => "to hear of a socket: of the client's when there is a target",
        "epoll_ctl EPOLL_CTL_MOD" => "the target's, which was to be connected, is to be read",
        "epoll_ctl EPOLL_CTL_DEL" => {
            "a side has ended, and nothing more is to be heard of it until the other has"
        }
        "epoll_pwait" => "one for all that has become ready meanwhile",
        "setsockopt TCP_NODELAY" => "the target's socket; the client's has it from its listener",
        "recvfrom" | "sendto" => "a message, or its answer",
        "recvfrom, EAGAIN" => "to see that nothing is left",
        "recvfrom, the end" => "a side's end",
        "shutdown" => "to pass it on, so that the other side can still answer",
        "write" => "the log: one for many connections that end at about the same time",
        _ => return None,
    };
    Some(purpose)
}

/// How the page is to be read.
pub(crate) const READING: &str = "\
## How to read this

In every round every relay is started afresh for every load, and the order in which they take their turns
moves on by one from round to round, so that what disturbs the machine for a while disturbs all of them.
Figures are medians over the rounds, with the least and the greatest beside them; judge by ratios within one
run, since absolute figures move from run to run. One thread drives client and target, so that a
round trip wakes nobody but the relay. The forwarder runs as it is shipped: with its limits and counters, and
with its log, a line for each connection, in a file.

- **CPU** is the time that the scheduler charged to the relay, user and system, all its threads and processes. It holds
  the kernel's work for both sides of the relay.
- **Streams** are sent in pieces of 256 KiB, and received without being copied, so that the ends limit less.
- **Short connections** connect, get one message of 64 bytes echoed, and close.
- **Round trips** are of 64 bytes, one on every connection, and again when all are answered. The 99th
  percentile is of the time from sending a message to its answer, with all others under way.
- **Among idle connections** each of the busy ones sends again as soon as it is answered: the relay is never
  without work, so that what it takes to wake it, which varies, is not in the ratio.
- **Bytes** of an idle connection are the growth of the relay's proportional resident memory, divided by the
  connections that caused it, each of which had one message echoed. The kernel's memory is not in it. Relays that
  cannot hold as many (select(2), descriptors, a process each) get fewer.
- **The reader that stalls** reads nothing until no more can be sent, and then everything; the growth is the
  greatest of resident memory meanwhile, from when a first piece had gone through.
- **Targets**: a ratio is the median of the ratios within each round, with the least and the greatest. The
  best peer is the one with the best median among all but **raw epoll** and **no relay**.
- **raw epoll** is a relay without limits, counters, log, timeouts or any care, hand-written to be cheap: the floor.
- HAProxy has splicing forced and one thread, nginx one worker and `proxy_half_close on`; nodelay is on
  everywhere; all have a backlog of 4096 where it can be told them.

How the library's event loop compares with others is in [RESULTS.md](RESULTS.md).
";
