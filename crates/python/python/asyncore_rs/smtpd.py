"""An SMTP server and proxy: RFC 5321, with the extensions SIZE (RFC 1870) and SMTPUTF8 (RFC 6531).

Usage: %(program)s [options] [localhost:localport [remotehost:remoteport]]

Options:

    -n, --nosetuid
        Stay the user that started it. Without this option the program becomes
        `nobody', which only root can.
    -c classname, --class classname
        The server class: a name of this module, or package.module.Name.
        `PureProxy' if not given.
    -s limit, --size limit
        The largest message, in bytes; 0 for no limit. 33554432 if not given.
    -u, --smtputf8      Offer SMTPUTF8.
    -d, --debug         Print what happens to standard error.
    -V, --version       Print the version and exit.
    -h, --help          Print this and exit.

It listens on localhost:8025, and delivers to localhost:25, if not told otherwise.
"""

import collections
import errno
import getopt
import importlib
import os
import socket
import sys
import time

from asyncore_rs.smtp_commands import Commands
from asyncore_rs.smtp_old_names import OldNames

if __name__ == 'smtpd':  # with another distribution's modules under the old names
    import asynchat
    import asyncore
else:
    from asyncore_rs import asynchat, asyncore

__all__ = ["SMTPChannel", "SMTPServer", "DebuggingServer", "PureProxy"]

program = sys.argv[0]
__version__ = 'Python SMTP proxy version 0.3'

NEWLINE = '\n'
COMMASPACE = ', '
DATA_SIZE_DEFAULT = 33554432


class Devnull:
    """A stream that forgets what it is given."""

    def write(self, msg):
        pass

    def flush(self):
        pass


DEBUGSTREAM = Devnull()


def _debug(*words):
    print(*words, file=DEBUGSTREAM)


def _check_decoding(enable_SMTPUTF8, decode_data):
    if enable_SMTPUTF8 and decode_data:
        raise ValueError("decode_data and enable_SMTPUTF8 cannot be set to True at the same time")


class SMTPChannel(Commands, OldNames, asynchat.async_chat):
    """One client's dialogue. A subclass adds a command by a method `smtp_NAME(arg)`."""

    COMMAND = 0
    DATA = 1

    command_size_limit = 512
    command_size_limits = collections.defaultdict(lambda limit=command_size_limit: limit)

    _debug = staticmethod(_debug)

    def __init__(self, server, conn, addr, data_size_limit=DATA_SIZE_DEFAULT,
                 map=None, enable_SMTPUTF8=False, decode_data=False):
        asynchat.async_chat.__init__(self, conn, map=map)
        self.smtp_server = server
        self.conn = conn
        self.addr = addr
        self.data_size_limit = data_size_limit
        self.enable_SMTPUTF8 = enable_SMTPUTF8
        self._decode_data = decode_data
        _check_decoding(enable_SMTPUTF8, decode_data)
        # For subclasses with a found_terminator of their own.
        self._emptystring = '' if decode_data else b''
        self._linesep = '\r\n' if decode_data else b'\r\n'
        self._newline = '\n' if decode_data else b'\n'
        self._dotsep = '.' if decode_data else ord('.')
        self._set_rset_state()
        self.seen_greeting = ''
        self.extended_smtp = False
        # EHLO raises the limits of its own client, and nobody else's.
        self.command_size_limits = type(self).command_size_limits.copy()
        self.command_size_limits.clear()
        self.fqdn = socket.getfqdn()
        try:
            self.peer = conn.getpeername()
        except OSError as error:
            self.close()
            if error.errno != errno.ENOTCONN:  # gone before it was greeted
                raise
            return
        _debug('Peer:', repr(self.peer))
        self.push(f'220 {self.fqdn} {__version__}')

    @property
    def max_command_size_limit(self):
        return max(self.command_size_limits.values(), default=self.command_size_limit)

    def _set_post_data_state(self):
        """Forget the envelope and wait for a command."""
        self.smtp_state = self.COMMAND
        self.mailfrom = None
        self.rcpttos = []
        self.require_SMTPUTF8 = False
        self.num_bytes = 0
        self.set_terminator(b'\r\n')

    def _set_rset_state(self):
        """Forget everything but the greeting."""
        self._set_post_data_state()
        self.received_data = ''
        self.received_lines = []

    def push(self, msg):
        """Sends `msg`, a str, as one line. What the client cannot be sent is escaped."""
        encoding = 'utf-8' if self.require_SMTPUTF8 else 'ascii'
        asynchat.async_chat.push(self, (msg + '\r\n').encode(encoding, 'backslashreplace'))

    def collect_incoming_data(self, data):
        limit = None
        if self.smtp_state == self.COMMAND:
            limit = self.max_command_size_limit
        elif self.smtp_state == self.DATA:
            limit = self.data_size_limit
        if limit:
            if self.num_bytes > limit:
                return
            self.num_bytes += len(data)
        self.received_lines.append(str(data, 'utf-8') if self._decode_data else data)

    def found_terminator(self):
        received = self._emptystring.join(self.received_lines)
        _debug('Data:', repr(received))
        self.received_lines = []
        if self.smtp_state == self.COMMAND:
            self._found_command(received)
        elif self.smtp_state == self.DATA:
            self._found_message(received)
        else:
            self.num_bytes = 0
            self.push('451 Internal confusion')

    def _found_command(self, line):
        size, self.num_bytes = self.num_bytes, 0
        try:
            line = line if self._decode_data else str(line, 'utf-8')
        except UnicodeDecodeError:
            line = ''
        if not line:
            self.push('500 Error: bad syntax')
            return
        command, space, arg = line.partition(' ')
        command = command.upper()
        arg = arg.strip() if space else None
        if self.extended_smtp:
            limit = self.command_size_limits[command]
        else:
            limit = self.command_size_limit
        if size > limit:
            self.push('500 Error: line too long')
            return
        method = getattr(self, 'smtp_' + command, None)
        if method:
            method(arg)
        else:
            self.push(f'500 Error: command "{command}" not recognized')

    def _found_message(self, message):
        if self.data_size_limit and self.num_bytes > self.data_size_limit:
            self._set_post_data_state()
            self.push('552 Error: Too much mail data')
            return
        # A line that starts with a dot was sent with one more (RFC 5321, section 4.5.2).
        lines = (line[1:] if line[:1] and line[0] == self._dotsep else line
                 for line in message.split(self._linesep))
        self.received_data = self._newline.join(lines)
        options = {} if self._decode_data else {
            'mail_options': self.mail_options, 'rcpt_options': self.rcpt_options}
        status = self.smtp_server.process_message(
            self.peer, self.mailfrom, self.rcpttos, self.received_data, **options)
        self._set_post_data_state()
        self.push(status or '250 OK')


class SMTPServer(asyncore.dispatcher):
    """Listens, and hands each message to `process_message`, which a subclass defines."""

    channel_class = SMTPChannel

    def __init__(self, localaddr, remoteaddr, data_size_limit=DATA_SIZE_DEFAULT, map=None,
                 enable_SMTPUTF8=False, decode_data=False):
        self._localaddr = localaddr
        self._remoteaddr = remoteaddr
        self.data_size_limit = data_size_limit
        self.enable_SMTPUTF8 = enable_SMTPUTF8
        self._decode_data = decode_data
        _check_decoding(enable_SMTPUTF8, decode_data)
        asyncore.dispatcher.__init__(self, map=map)
        try:
            family, kind = socket.getaddrinfo(*localaddr, type=socket.SOCK_STREAM)[0][:2]
            self.create_socket(family, kind)
            self.set_reuse_addr()
            self.bind(localaddr)
            self.listen(5)
        except BaseException:
            self.close()
            raise
        _debug(f'{type(self).__name__} started at {time.ctime()}\n\tLocal addr: {localaddr}\n'
               f'\tRemote addr:{remoteaddr}')

    def handle_accepted(self, conn, addr):
        _debug('Incoming connection from', repr(addr))
        self.channel_class(self, conn, addr, self.data_size_limit, self._map,
                           self.enable_SMTPUTF8, self._decode_data)

    def process_message(self, peer, mailfrom, rcpttos, data, **kwargs):
        """Called with each message; to be overridden.

        `peer` is the client's address, `mailfrom` and `rcpttos` what it gave as sender
        and recipients, `data` the message with lines that end in a newline and without
        the dots that SMTP doubles: a str with decode_data, otherwise bytes.

        Without decode_data two arguments more are given by name, `mail_options` and
        `rcpt_options`: the parameters of the MAIL command and of the last RCPT, in
        capitals, such as ['BODY=8BITMIME', 'SMTPUTF8'].

        Returns the line to answer with, or None for `250 OK'.
        """
        raise NotImplementedError


class DebuggingServer(SMTPServer):
    """Prints every message."""

    def _print_message_content(self, peer, data):
        shown = str if isinstance(data, str) else repr
        peer_header = 'X-Peer: ' + peer[0]
        if not isinstance(data, str):
            peer_header = peer_header.encode('utf-8')
        in_headers = True
        for line in data.splitlines():
            if in_headers and not line:
                print(shown(peer_header))
                in_headers = False
            print(shown(line))

    def process_message(self, peer, mailfrom, rcpttos, data, **kwargs):
        print('---------- MESSAGE FOLLOWS ----------')
        if kwargs.get('mail_options'):
            print('mail options:', kwargs['mail_options'])
        if kwargs.get('rcpt_options'):
            print(f'rcpt options: {kwargs["rcpt_options"]}\n')
        self._print_message_content(peer, data)
        print('------------ END MESSAGE ------------')


class PureProxy(SMTPServer):
    """Delivers every message to `remoteaddr`, with a header that names the client."""

    def __init__(self, *args, **kwargs):
        if kwargs.get('enable_SMTPUTF8'):
            raise ValueError("PureProxy does not support SMTPUTF8.")
        super().__init__(*args, **kwargs)

    def process_message(self, peer, mailfrom, rcpttos, data, **kwargs):
        header, newline, network_newline = f'X-Peer: {peer[0]}', '\n', '\n'
        if not isinstance(data, str):
            # smtplib puts network newlines into a str only.
            header, newline, network_newline = header.encode('ascii'), b'\n', b'\r\n'
        lines = data.split(newline)
        end_of_headers = lines.index(newline[:0]) if newline[:0] in lines else len(lines)
        lines.insert(end_of_headers, header)
        refused = self._deliver(mailfrom, rcpttos, network_newline.join(lines))
        _debug('we got some refusals:', refused)

    def _deliver(self, mailfrom, rcpttos, data):
        """Sends the message on. Returns the recipients refused, each with code and reason."""
        import smtplib
        try:
            with smtplib.SMTP(*self._remoteaddr[:2]) as remote:
                return remote.sendmail(mailfrom, rcpttos, data)
        except smtplib.SMTPRecipientsRefused as error:
            _debug('got SMTPRecipientsRefused')
            return error.recipients
        except (OSError, smtplib.SMTPException) as error:
            _debug('got', type(error))
            reason = getattr(error, 'smtp_code', -1), getattr(error, 'smtp_error', 'ignore')
            return dict.fromkeys(rcpttos, reason)


class Options:
    """What the command line asked for."""

    setuid = True
    classname = 'PureProxy'
    size_limit = None
    enable_SMTPUTF8 = False


def usage(code, msg=''):
    """Prints how the program is used, and `msg`, and leaves with `code`."""
    print(__doc__ % globals(), file=sys.stderr)
    if msg:
        print(msg, file=sys.stderr)
    sys.exit(code)


def parseargs():
    """The options of the command line; prints what is wrong with it and leaves."""
    global DEBUGSTREAM
    try:
        given, addresses = getopt.getopt(
            sys.argv[1:], 'nVhc:s:du',
            ['class=', 'nosetuid', 'version', 'help', 'size=', 'debug', 'smtputf8'])
    except getopt.error as error:
        usage(1, error)
    options = Options()
    for option, value in given:
        if option in ('-h', '--help'):
            usage(0)
        elif option in ('-V', '--version'):
            print(__version__)
            sys.exit(0)
        elif option in ('-n', '--nosetuid'):
            options.setuid = False
        elif option in ('-c', '--class'):
            options.classname = value
        elif option in ('-d', '--debug'):
            DEBUGSTREAM = sys.stderr
        elif option in ('-u', '--smtputf8'):
            options.enable_SMTPUTF8 = True
        else:
            try:
                options.size_limit = int(value)
            except ValueError:
                sys.exit('Invalid size: ' + value)
    if len(addresses) > 2:
        usage(1, f'Invalid arguments: {COMMASPACE.join(addresses)}')
    local, remote = addresses + ['localhost:8025', 'localhost:25'][len(addresses):]
    options.localhost, options.localport = _host_and_port('local', local)
    options.remotehost, options.remoteport = _host_and_port('remote', remote)
    return options


def _host_and_port(which, spec):
    host, colon, port = spec.partition(':')
    if not colon:
        usage(1, f'Bad {which} spec: {spec}')
    try:
        return host, int(port)
    except ValueError:
        usage(1, f'Bad {which} port: {spec}')


def _main():
    """The program: `python -m smtpd`."""
    options = parseargs()
    module, _, name = options.classname.rpartition('.')
    server_class = vars(importlib.import_module(module))[name] if module else globals()[name]
    limit = DATA_SIZE_DEFAULT if options.size_limit is None else options.size_limit
    server_class((options.localhost, options.localport),
                 (options.remotehost, options.remoteport),
                 limit, enable_SMTPUTF8=options.enable_SMTPUTF8)
    if options.setuid:
        _become_nobody()
    try:
        asyncore.loop()
    except KeyboardInterrupt:
        pass


def _become_nobody():
    try:
        import pwd
        os.setuid(pwd.getpwnam('nobody').pw_uid)
    except ImportError:
        sys.exit('Cannot import module "pwd"; try running with -n option.')
    except PermissionError:
        sys.exit('Cannot setuid "nobody"; try running with -n option.')
