//! The report's prose.

/// Which system calls the forwarder makes, and why each of them.
pub(crate) const CALLS: &str = "\
A round trip takes the two `recvfrom` and two `sendto` that it cannot do without; one `epoll_pwait` is shared by
all that became ready meanwhile, no read is made only to see that nothing is left, and interests do not change.
Of a connection's calls these remain:

- `accept4`, `socket`, `connect`, two `close`: what a connection is made of. A burst of arrivals takes one
  more `accept4` to see its end.
- `recvfrom` ×4, `sendto` ×2: the message and its answer, and the end of each side.
- `epoll_ctl`: the target's socket is added for its connection to be made and changed to reading when it is, the
  client's is added then; both are taken out before they are closed, since a descriptor that another
  process has inherited would otherwise be reported for ever.
- `setsockopt`: `TCP_NODELAY` and keepalive (two calls) on the target's socket; the client's has them from its
  listener.
- `shutdown` passes the client's end on, so that the target can still answer.
- `write` writes the log: one for all connections that end in one pass of the loop.
";

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
