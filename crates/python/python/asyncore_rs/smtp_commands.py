"""The commands of an SMTP dialogue: what is asked for, what is answered."""

from email.errors import HeaderParseError
from email._header_value_parser import get_addr_spec, get_angle_addr

# What HELP says of each command.
_SYNTAX = {
    'EHLO': 'EHLO hostname',
    'HELO': 'HELO hostname',
    'MAIL': 'MAIL FROM: <address>',
    'RCPT': 'RCPT TO: <address>',
    'DATA': 'DATA',
    'RSET': 'RSET',
    'NOOP': 'NOOP',
    'QUIT': 'QUIT',
    'VRFY': 'VRFY <address>',
}
_NO_GREETING = '503 Error: send HELO first'


class Commands:
    """The smtp_ methods of SMTPChannel, and the grammar of their arguments."""

    # The commands. `arg` is the rest of the line, stripped; None if there was no space.

    def smtp_HELO(self, arg):
        if self._greet('HELO', arg):
            self.push(f'250 {self.fqdn}')

    def smtp_EHLO(self, arg):
        if not self._greet('EHLO', arg):
            return
        self.extended_smtp = True
        self.push(f'250-{self.fqdn}')
        if self.data_size_limit:
            self.push(f'250-SIZE {self.data_size_limit}')
            self.command_size_limits['MAIL'] += 26
        if not self._decode_data:
            self.push('250-8BITMIME')
        if self.enable_SMTPUTF8:
            self.push('250-SMTPUTF8')
            self.command_size_limits['MAIL'] += 10
        self.push('250 HELP')

    def _greet(self, command, hostname):
        if not hostname:
            self.push(f'501 {self._syntax(command)}')
        elif self.seen_greeting:
            self.push('503 Duplicate HELO/EHLO')
        else:
            self._set_rset_state()
            self.seen_greeting = hostname
            return True
        return False

    def smtp_NOOP(self, arg):
        self.push('501 Syntax: NOOP' if arg else '250 OK')

    def smtp_QUIT(self, arg):
        self.push('221 Bye')
        self.close_when_done()

    def smtp_HELP(self, arg):
        if arg and arg.upper() in _SYNTAX:
            self.push(f'250 {self._syntax(arg.upper())}')
        else:
            self.push(f'{501 if arg else 250} Supported commands: {" ".join(_SYNTAX)}')

    def smtp_VRFY(self, arg):
        if not arg:
            self.push(f'501 {self._syntax("VRFY")}')
        elif self._getaddr(arg)[0]:
            self.push('252 Cannot VRFY user, but will accept message and attempt delivery')
        else:
            self.push(f'502 Could not VRFY {arg}')

    def smtp_EXPN(self, arg):
        self.push('502 EXPN not implemented')

    def smtp_RSET(self, arg):
        if arg:
            self.push('501 Syntax: RSET')
        else:
            self._set_rset_state()
            self.push('250 OK')

    def smtp_MAIL(self, arg):
        self.push(self._start_envelope(arg))

    def smtp_RCPT(self, arg):
        self.push(self._add_recipient(arg))

    def smtp_DATA(self, arg):
        if not self.seen_greeting:
            self.push(_NO_GREETING)
        elif not self.rcpttos:
            self.push('503 Error: need RCPT command')
        elif arg:
            self.push('501 Syntax: DATA')
        else:
            self.smtp_state = self.DATA
            self.set_terminator(b'\r\n.\r\n')
            self.push('354 End data with <CR><LF>.<CR><LF>')

    # Each of these does what its command asks for, or nothing, and returns the answer.

    def _start_envelope(self, arg):
        if not self.seen_greeting:
            return _NO_GREETING
        self._debug('===> MAIL', arg)
        syntax = f'501 {self._syntax("MAIL")}'
        address, params = self._getpath('FROM:', arg)
        if not address:
            return syntax
        if self.mailfrom:
            return '503 Error: nested MAIL command'
        self.mail_options = params.upper().split()
        params = self._getparams(self.mail_options)
        if params is None:
            return syntax
        if not self._decode_data and params.pop('BODY', '7BIT') not in ('7BIT', '8BITMIME'):
            return '501 Error: BODY can only be one of 7BIT, 8BITMIME'
        utf8 = params.pop('SMTPUTF8', False) if self.enable_SMTPUTF8 else False
        if utf8 not in (True, False):
            return '501 Error: SMTPUTF8 takes no arguments'
        size = params.pop('SIZE', None)
        if size is not None:
            if size is True or not size.isdigit():
                return syntax
            if self.data_size_limit and int(size) > self.data_size_limit:
                return '552 Error: message size exceeds fixed maximum message size'
        if params:
            return '555 MAIL FROM parameters not recognized or not implemented'
        self.require_SMTPUTF8 = utf8
        self.mailfrom = address
        self._debug('sender:', self.mailfrom)
        return '250 OK'

    def _add_recipient(self, arg):
        if not self.seen_greeting:
            return _NO_GREETING
        self._debug('===> RCPT', arg)
        if not self.mailfrom:
            return '503 Error: need MAIL command'
        syntax = f'501 {self._syntax("RCPT")}'
        address, params = self._getpath('TO:', arg)
        if not address:
            return syntax
        self.rcpt_options = params.upper().split()
        params = self._getparams(self.rcpt_options)
        if params is None:
            return syntax
        if params:  # none is known
            return '555 RCPT TO parameters not recognized or not implemented'
        self.rcpttos.append(address)
        self._debug('recips:', self.rcpttos)
        return '250 OK'

    def _syntax(self, command):
        takes_params = self.extended_smtp and command in ('MAIL', 'RCPT')
        return f'Syntax: {_SYNTAX[command]}' + (' [SP <mail-parameters>]' if takes_params else '')

    def _getpath(self, keyword, arg):
        """The address after `keyword` and its parameters; no address if that is no valid path."""
        if arg is None:
            return '', ''
        address, params = self._getaddr(self._strip_command_keyword(keyword, arg))
        return ('', '') if params and not self.extended_smtp else (address, params)

    def _strip_command_keyword(self, keyword, arg):
        found = arg[:len(keyword)].upper() == keyword
        return arg[len(keyword):].strip() if found else ''

    def _getaddr(self, arg):
        """The address that `arg` begins with, and the rest; no address if there is none."""
        if not arg:
            return '', ''
        parse = get_angle_addr if arg.lstrip().startswith('<') else get_addr_spec
        try:
            address, rest = parse(arg)
        except (HeaderParseError, IndexError):
            return '', arg
        return (address.addr_spec if address else address), rest

    def _getparams(self, params):
        """The parameters as a dict, True for one without a value; None if one is malformed."""
        result = {}
        for param in params:
            name, equals, value = param.partition('=')
            if not name.isalnum() or (equals and not value):
                return None
            result[name] = value if equals else True
        return result
