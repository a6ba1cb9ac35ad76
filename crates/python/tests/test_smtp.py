"""smtpd: the dialogue word for word, its servers, and what is mended in it."""

import asyncore
import random
import smtplib
import socket
import threading

import pytest
import smtpd

mended = pytest.mark.mended


class Keeping(smtpd.SMTPServer):
    """Keeps every message with all that came with it."""

    def __init__(self, *args, **kwargs):
        super().__init__(('127.0.0.1', 0), None, *args, **kwargs)
        self.messages = []

    def process_message(self, *args, **kwargs):
        self.messages.append((args[1:], kwargs))


@pytest.fixture(autouse=True)
def no_name_service(monkeypatch):
    monkeypatch.setattr(socket, 'getfqdn', lambda name='': 'HERE')


@pytest.fixture
def dialogue(stack):
    """dialogue(lines, **options) -> the answers to each line, and the server."""
    def dialogue(lines, server_class=Keeping, **options):
        mine = {}
        server = server_class(map=mine, **options)
        client = stack.enter_context(socket.create_connection(server.socket.getsockname()))
        client.setblocking(False)
        received = bytearray()

        def answer():
            """One answer, all its lines; None if the server is gone."""
            received.clear()
            for _ in range(1000):
                asyncore.poll2(0.01, mine)
                try:
                    data = client.recv(1 << 16)
                except BlockingIOError:
                    continue
                except ConnectionError:
                    return None
                if not data:
                    return None
                received.extend(data)
                last = bytes(received).splitlines()[-1]
                if received.endswith(b'\r\n') and last[3:4] != b'-':
                    return bytes(received).decode()
            raise AssertionError('no answer')

        answers = [answer()]
        for line in lines:
            client.sendall(line if isinstance(line, bytes) else line.encode() + b'\r\n')
            answers.append(answer())
        asyncore.close_all(mine)
        return answers, server
    return dialogue


GREETING = '220 HERE Python SMTP proxy version 0.3\r\n'


def test_a_whole_dialogue(dialogue):
    answers, server = dialogue([
        'EHLO there', 'MAIL FROM:<a@example> SIZE=10', 'RCPT TO:<b@example>', 'RCPT TO:c@example',
        'DATA', 'Subject: x\r\n\r\n..dot\r\nend\r\n.', 'QUIT'])
    assert answers == [
        GREETING, '250-HERE\r\n250-SIZE 33554432\r\n250-8BITMIME\r\n250 HELP\r\n', '250 OK\r\n',
        '250 OK\r\n', '250 OK\r\n', '354 End data with <CR><LF>.<CR><LF>\r\n', '250 OK\r\n',
        '221 Bye\r\n']
    assert server.messages == [
        (('a@example', ['b@example', 'c@example'], b'Subject: x\n\n.dot\nend'),
         {'mail_options': ['SIZE=10'], 'rcpt_options': []})]


def test_decoded_data_is_text_and_comes_without_options(dialogue):
    answers, server = dialogue(
        ['HELO there', 'MAIL FROM:<a@example>', 'RCPT TO:<b@example>', 'DATA', 'grün\r\n.'],
        decode_data=True)
    assert answers[1] == '250 HERE\r\n'
    assert server.messages == [(('a@example', ['b@example'], 'grün'), {})]


@pytest.mark.parametrize('line, answer', [
    ('', '500 Error: bad syntax'),
    ('NONSENSE', '500 Error: command "NONSENSE" not recognized'),
    ('HELO', '501 Syntax: HELO hostname'),
    ('EHLO', '501 Syntax: EHLO hostname'),
    ('MAIL FROM:<a@example>', '503 Error: send HELO first'),
    ('RCPT TO:<a@example>', '503 Error: send HELO first'),
    ('DATA', '503 Error: send HELO first'),
    ('NOOP', '250 OK'),
    ('NOOP x', '501 Syntax: NOOP'),
    ('RSET', '250 OK'),
    ('RSET x', '501 Syntax: RSET'),
    ('EXPN x', '502 EXPN not implemented'),
    ('VRFY', '501 Syntax: VRFY <address>'),
    ('VRFY a@example',
     '252 Cannot VRFY user, but will accept message and attempt delivery'),
    ('HELP', '250 Supported commands: EHLO HELO MAIL RCPT DATA RSET NOOP QUIT VRFY'),
    ('HELP nonsense', '501 Supported commands: EHLO HELO MAIL RCPT DATA RSET NOOP QUIT VRFY'),
    ('HELP mail', '250 Syntax: MAIL FROM: <address>'),
    ('HELP vrfy', '250 Syntax: VRFY <address>'),
    ('NOOP ' + 'x' * 600, '500 Error: line too long'),
])
def test_answers_before_the_greeting(dialogue, line, answer):
    assert dialogue([line])[0] == [GREETING, answer + '\r\n']


@pytest.mark.parametrize('line, answer', [
    ('HELO again', '503 Duplicate HELO/EHLO'),
    ('MAIL', '501 Syntax: MAIL FROM: <address> [SP <mail-parameters>]'),
    ('MAIL TO:<a@example>', '501 Syntax: MAIL FROM: <address> [SP <mail-parameters>]'),
    ('MAIL FROM:<a@example> SIZE=x', '501 Syntax: MAIL FROM: <address> [SP <mail-parameters>]'),
    ('MAIL FROM:<a@example> =x', '501 Syntax: MAIL FROM: <address> [SP <mail-parameters>]'),
    ('MAIL FROM:<a@example> SIZE=99999999999',
     '552 Error: message size exceeds fixed maximum message size'),
    ('MAIL FROM:<a@example> BODY=9BIT', '501 Error: BODY can only be one of 7BIT, 8BITMIME'),
    ('MAIL FROM:<a@example> OTHER',
     '555 MAIL FROM parameters not recognized or not implemented'),
    ('MAIL FROM:<>', '250 OK'),
    ('RCPT TO:<a@example>', '503 Error: need MAIL command'),
    ('DATA', '503 Error: need RCPT command'),
    ('HELP rcpt', '250 Syntax: RCPT TO: <address> [SP <mail-parameters>]'),
])
def test_answers_after_the_greeting(dialogue, line, answer):
    assert dialogue(['EHLO there', line])[0][2] == answer + '\r\n'


def test_a_command_added_by_a_subclass_is_found(dialogue):
    class Channel(smtpd.SMTPChannel):
        def smtp_XDATE(self, arg):
            self.push(f'250 {arg}')

    class Server(Keeping):
        channel_class = Channel

    assert dialogue(['xdate now'], Server)[0][1] == '250 now\r\n'


def test_what_process_message_returns_is_the_answer(dialogue):
    class Refusing(Keeping):
        def process_message(self, *args, **kwargs):
            return '550 No'

    answers, _ = dialogue(['HELO x', 'MAIL FROM:<a@b>', 'RCPT TO:<a@b>', 'DATA', 'x\r\n.'],
                          Refusing)
    assert answers[-1] == '550 No\r\n'


def test_decoding_and_smtputf8_exclude_each_other():
    with pytest.raises(ValueError):
        Keeping(decode_data=True, enable_SMTPUTF8=True)
    with pytest.raises(ValueError, match='PureProxy does not support SMTPUTF8'):
        smtpd.PureProxy(('127.0.0.1', 0), None, enable_SMTPUTF8=True)


def test_every_public_name_is_there():
    assert set(smtpd.__all__) == {'SMTPChannel', 'SMTPServer', 'DebuggingServer', 'PureProxy'}
    for name in ('program', '__version__', 'Devnull', 'DEBUGSTREAM', 'NEWLINE', 'COMMASPACE',
                 'DATA_SIZE_DEFAULT', 'usage', 'Options', 'parseargs'):
        assert hasattr(smtpd, name), name
    assert repr(smtpd.SMTPServer(('127.0.0.1', 0), None)).startswith('<smtpd.SMTPServer listening')


# Mended


@mended
def test_after_too_much_data_the_dialogue_goes_on(dialogue):
    answers, server = dialogue(
        ['EHLO x', 'MAIL FROM:<a@b>', 'RCPT TO:<a@b>', 'DATA', 'x' * 100 + '\r\n.', 'NOOP'],
        data_size_limit=50)
    assert answers[-2:] == ['552 Error: Too much mail data\r\n', '250 OK\r\n']
    assert server.messages == []


@mended
def test_a_command_that_is_no_utf8_is_a_syntax_error(dialogue):
    answers, _ = dialogue([b'HELO \xff\r\n', 'NOOP'])
    assert answers[1:] == ['500 Error: bad syntax\r\n', '250 OK\r\n']


@mended
def test_an_answer_that_repeats_what_is_not_ascii_is_escaped(dialogue):
    answers, _ = dialogue(['grün', 'NOOP'])
    assert answers[1:] == ['500 Error: command "GR\\xdcN" not recognized\r\n', '250 OK\r\n']


@mended
@pytest.mark.parametrize('path', ['<', '<@>', '@', '<a@b> SIZE'])
def test_a_malformed_path_is_a_syntax_error_and_not_the_end(dialogue, path):
    answers, _ = dialogue(['EHLO x', f'MAIL FROM:{path}', 'NOOP'])
    assert answers[2] == '501 Syntax: MAIL FROM: <address> [SP <mail-parameters>]\r\n'
    assert answers[3] == '250 OK\r\n'


@mended
def test_limits_of_one_client_are_not_raised_by_another(stack):
    mine = {}
    server = Keeping(map=mine)
    channels = []
    for _ in range(3):
        near, far = (stack.enter_context(end) for end in socket.socketpair())
        channels.append(smtpd.SMTPChannel(server, near, None, map=mine))
    for channel in channels:
        channel.smtp_EHLO('x')
    assert [channel.max_command_size_limit for channel in channels] == [512 + 26] * 3
    asyncore.close_all(mine)


class Thread(threading.Thread):
    """A server in a thread of its own."""

    def __init__(self, make):
        super().__init__(daemon=True)
        self.map = {}
        self.server = make(self.map)
        self.address = self.server.socket.getsockname()
        self.ended = False

    def run(self):
        while not self.ended:
            asyncore.poll2(0.02, self.map)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.ended = True
        self.join()
        asyncore.close_all(self.map)


@mended
def test_the_proxy_delivers_what_it_gets_as_bytes():
    """The program's own default: PureProxy without decode_data."""
    with Thread(lambda map: Keeping(map=map)) as target:
        def proxy(map):
            return smtpd.PureProxy(('127.0.0.1', 0), target.address, map=map)
        with Thread(proxy) as between, smtplib.SMTP(*between.address) as client:
            client.sendmail('a@example', ['b@example'], b'Subject: x\r\n\r\n.gr\xc3\xbcn\r\n')
        [((mailfrom, rcpttos, data), _)] = target.server.messages
    assert (mailfrom, rcpttos) == ('a@example', ['b@example'])
    assert data == b'Subject: x\nX-Peer: 127.0.0.1\n\n.gr\xc3\xbcn'


def test_the_proxy_delivers_what_it_gets_as_text():
    with Thread(lambda map: Keeping(map=map)) as target:
        def proxy(map):
            return smtpd.PureProxy(('127.0.0.1', 0), target.address, map=map, decode_data=True)
        with Thread(proxy) as between, smtplib.SMTP(*between.address) as client:
            client.sendmail('a@example', ['b@example'], 'Subject: x\r\n\r\n.body\r\n')
        [((_, _, data), _)] = target.server.messages
    assert data == b'Subject: x\nX-Peer: 127.0.0.1\n\n.body'


# The same words as 3.11's module, for any dialogue

WORDS = ['HELO', 'EHLO', 'MAIL', 'RCPT', 'DATA', 'RSET', 'NOOP', 'HELP', 'VRFY', 'EXPN', 'X',
         'mail', 'rcpt', 'FROM:', 'TO:', 'from:', 'to:', '<a@example>', 'b@example', '<>', 'size=5',
         'SIZE=999999999', 'BODY=8BITMIME', 'BODY=x', 'SMTPUTF8', 'SMTPUTF8=1', 'foo=bar', '=',
         'example', '  ', '.', 'help', 'quit']
USUAL = [['EHLO x', 'HELO x'], ['MAIL FROM:<a@example>', 'mail from: a@example SIZE=9',
         'MAIL FROM:<a@example> BODY=8BITMIME SMTPUTF8'], ['RCPT TO:<b@example>'],
         ['RCPT TO:c@example', 'NOOP'], ['DATA'], ['text\r\n.', '..x\r\n\r\n.', '.', 'grün\r\n.']]


def any_dialogue(chance):
    """A usual one, with steps left out and others put in."""
    lines = []
    for _ in range(2):
        for step in USUAL:
            if chance.random() < 0.92:
                lines.append(chance.choice(step))
            if chance.random() < 0.2:
                lines.append(' '.join(chance.choices(WORDS, k=chance.randrange(1, 5))))
    return lines


class Wire:
    """A socket for a channel that is driven by hand."""

    def __init__(self):
        self.sent, self.input = b'', b''

    def recv(self, size):
        data, self.input = self.input, b''
        return data

    def send(self, data):
        self.sent += bytes(data)
        return len(data)

    def fileno(self):
        return 1 << 20

    def getpeername(self):
        return ('192.0.2.1', 25)

    def setblocking(self, flag):
        pass

    def close(self):
        pass


def play(module, lines, options):
    class Server:
        messages = []

        def process_message(self, peer, mailfrom, rcpttos, data, **kwargs):
            self.messages.append((peer, mailfrom, list(rcpttos), data, kwargs))
            return '250 Kept' if len(data) % 2 else None

    server, wire = Server(), Wire()
    server.messages = []
    channel = module.SMTPChannel(server, wire, ('192.0.2.1', 25), map={}, **options)
    for line in lines:
        wire.input = line.encode() + b'\r\n'
        channel.handle_read()
    return wire.sent, server.messages


def test_random_dialogues_go_word_for_word_as_in_the_standard_library(standard):
    *_, standard_smtpd = standard('asyncore', 'asynchat', 'smtpd')
    chance = random.Random(311)
    messages = 0
    for _ in range(1500):
        options = chance.choice([{}, {'decode_data': True}, {'enable_SMTPUTF8': True},
                                 {'data_size_limit': None}])
        lines = any_dialogue(chance)
        try:
            expected = play(standard_smtpd, lines, options)
        except Exception:
            continue  # a fault of the standard library, which has its own test above
        assert play(smtpd, lines, options) == expected, lines
        messages += len(expected[1])
    assert messages > 500
