//! The parts of `--help` that are not about one option.

/// The ways to call the program.
pub(super) const USAGE: &str = "forwarder [OPTIONS] LISTEN TARGET[,TARGET]... [LISTEN TARGET]...
       forwarder [OPTIONS] --rule LISTEN=TARGET[,TARGET]... [--rule ...]
       forwarder [OPTIONS] --config FILE
       forwarder [OPTIONS] -r HOST [-P PORT] [-l IP] [-p PORT]
       forwarder top | completions | man | schema
       forwarder";

/// At the end of `-h`.
pub(super) const SHORT_EXAMPLES: &str = "\
Examples:
  forwarder                            a built-in site, on http://127.0.0.1:8080
  forwarder 8080 10.0.0.5:80           from 127.0.0.1:8080 to 10.0.0.5:80
  forwarder '*:80' a.lan:80,b.lan:80   from every address to two targets
  forwarder --config forwarder.toml    what the file says

'forwarder --help' explains each option and how addresses are written.";

/// At the end of `--help`, and of the man page.
pub(super) const EXAMPLES: &str = "\
LISTEN is one of:
  8080, :8080        port 8080 of 127.0.0.1: a port alone does not open the machine to others
  10.0.0.1:80        one IPv4 address
  [fd00::1]:80       one IPv6 address
  0.0.0.0:80         every IPv4 address
  *:80, [::]:80      every address, IPv4 and IPv6 (quote the * in a shell)
  udp:5353           UDP, with any of the above behind 'udp:'; the targets are then UDP as well
  unix:/run/x.sock   a Unix socket

TARGET is one of:
  8080, :8080        127.0.0.1, port 8080
  10.0.0.5:80        one IPv4 address
  [fd00::5]:80       one IPv6 address
  example.com:80     a name, looked up again as often as --resolve-every says
  unix:/run/x.sock   a Unix socket
  10.0.0.5:80*3      any of the above with a weight, 1 if there is none; 0 drains the target

TIME is a number and a unit: 500ms, 30s, 5m, 1h30m, 7d; without a unit it is seconds.
BYTES is a number and a unit: 500KiB, 10MiB, 10MB; without a unit it is bytes.

Examples:
  forwarder
      Listen on 127.0.0.1:8080 and forward to a small built-in site that shows live what is going
      through: open http://127.0.0.1:8080.

  forwarder 8080 10.0.0.5:80
      Forward 127.0.0.1:8080 to 10.0.0.5:80.

  forwarder -l 0.0.0.0 -p 8080 -r example.com -P 80
      The classic way: every IPv4 address, port 8080, to a name.

  forwarder '*:80' '10.0.0.5:80*3,10.0.0.6:80' --balance least-connections --check-every 5s
      Two targets, the first with three times the weight, both checked every five seconds.

  forwarder 5432 unix:/run/postgresql/.s.PGSQL.5432 udp:5353 10.0.0.5:53
      Two rules: from TCP to a Unix socket, and UDP.

  forwarder --rule '*:443=10.0.0.5:443' --allow 10.0.0.0/8 --max-connections 100 --rate 10MiB
      For one network only, with limits.

  forwarder --config /etc/forwarder.toml --status 8081
      The rules of a file, and a status page on http://127.0.0.1:8081.

  forwarder --config /etc/forwarder.toml --check
      Say what is wrong with the file, with line and column.

  forwarder 2525 10.0.0.5:25 --hexdump client=127.0.0.1
      Watch what is said.

Environment:
  FORWARDER_STATUS_TOKEN   the status page's token, if neither an option nor the file has one

Signals:
  SIGHUP            read the file again; if it is wrong, nothing changes
  SIGUSR1           open the log file again, after it was renamed
  SIGTERM, SIGINT   stop, see --drain; a second one ends at once

Exit codes:
  0   stopped as told, or --check found nothing wrong
  1   could not start: the file is wrong, an address is in use
  2   the command line is wrong
  3   stopped with connections still open, when --drain was over or at a second signal";
