"""asynchat: what comes in is cut into messages."""

import threading

import asynchat
import asyncore
import pytest
from channels import Chat


@pytest.fixture
def feed(pair, readable_now):
    """feed(chat_class, terminator, pieces) -> the chat after one handle_read for each piece."""
    def feed(pieces, terminator, cls=Chat):
        near, far = pair()
        chat = cls(near, {})
        if terminator != 'unset':
            chat.set_terminator(terminator)
        for piece in pieces:
            far.sendall(piece)
            readable_now(near)
            chat.handle_read()
        return chat
    return feed


def each_byte(data):
    return [data[i:i + 1] for i in range(len(data))]


@pytest.mark.parametrize('terminator', [b'\n', b'\r\n', b'qqq', b'\r\n.\r\n', b'aab', b'\0\0'])
def test_a_terminator_is_found_however_the_input_is_cut(feed, terminator):
    lines = [b'first', b'', b'aaa', b'the \r last', b'x']
    data = b''.join(line + terminator for line in lines) + b'rest'
    expected = []
    for line in lines:
        expected += [line, 'found'] if line else ['found']
    expected.append(b'rest')
    for cut in (1, 2, 3, 7, len(data)):
        pieces = [data[i:i + cut] for i in range(0, len(data), cut)]
        assert feed(pieces, terminator).messages() == expected, cut


def test_the_empty_string_before_a_terminator_is_not_collected(feed):
    assert feed([b'\r\n\r\n'], b'\r\n').log == ['found', 'found']


def test_the_beginning_of_a_terminator_is_held_back(feed):
    chat = feed([b'abc\r'], b'\r\n')
    assert (chat.log, chat.ac_in_buffer) == ([b'abc'], b'\r')


def test_a_held_beginning_that_leads_to_nothing_is_collected(feed):
    chat = feed([b'abc\r', b'x'], b'\r\n')
    assert (chat.log, chat.ac_in_buffer) == ([b'abc', b'\rx'], b'')


def test_a_number_counts_bytes_down(feed):
    chat = feed([b'abc', b'de'], 10)
    assert (chat.log, chat.terminator, chat.get_terminator()) == ([b'abc', b'de'], 5, 5)
    chat = feed([b'abc', b'defgh'], 5)
    assert (chat.log, chat.terminator) == ([b'abc', b'de', 'found', b'fgh'], 0)


@pytest.mark.parametrize('terminator', [None, b'', 0, '', False])
def test_without_a_terminator_everything_is_collected_as_it_comes(feed, terminator):
    assert feed([b'ab\n', b'cd'], terminator).log == [b'ab\n', b'cd']


def test_a_negative_number_is_refused():
    chat = asynchat.async_chat(map={})
    with pytest.raises(ValueError, match='the number of received bytes must be positive'):
        chat.set_terminator(-1)


def test_a_terminator_set_in_a_callback_counts_from_the_next_byte(feed):
    class Switching(Chat):
        def found_terminator(self):
            super().found_terminator()
            if self.terminator == b'\n':
                self.set_terminator(4)
            else:
                self.set_terminator(b'\n')

    data = b'4\nabcd7\n\n\n\n\nrest'
    expected = [b'4', 'found', b'abcd', 'found', b'7', 'found', b'\n\n\n\n', 'found', b'rest']
    for pieces in ([data], each_byte(data)):
        assert feed(pieces, b'\n', Switching).messages() == expected


def test_a_terminator_set_in_collect_counts_for_what_is_left(feed):
    class Switching(Chat):
        def collect_incoming_data(self, data):
            super().collect_incoming_data(data)
            self.set_terminator(b'!')

    assert feed([b'ab;cd;e!f'], b';', Switching).messages() == [
        b'ab', 'found', b'cd;e', 'found', b'f']


def test_terminator_assigned_directly_counts(feed):
    class Assigning(Chat):
        def found_terminator(self):
            super().found_terminator()
            self.terminator = b';'

    assert feed([b'a\nb\nc;d'], b'\n', Assigning).messages() == [
        b'a', 'found', b'b\nc', 'found', b'd']


def test_get_terminator_overridden_decides(feed):
    class Fixed(Chat):
        def get_terminator(self):
            return b'!'

    assert feed([b'a\nb!c'], b'\n', Fixed).messages() == [b'a\nb', 'found', b'c']


def test_any_kind_of_bytes_will_do_as_terminator(feed):
    assert feed([b'a\nb\n'], bytearray(b'\n')).messages() == [b'a', 'found', b'b', 'found']


def test_what_is_left_can_be_seen_and_exchanged_in_a_callback(feed):
    class Peeking(Chat):
        def found_terminator(self):
            super().found_terminator()
            self.log.append(self.ac_in_buffer)
            self.ac_in_buffer = b'other;' if self.ac_in_buffer == b'b;c' else b''

    assert feed([b'a;b;c'], b';', Peeking).log == [
        b'a', 'found', b'b;c', b'other', 'found', b'']


def test_discard_buffers_in_a_callback_forgets_the_rest_of_the_input(feed):
    class Discarding(Chat):
        def found_terminator(self):
            super().found_terminator()
            self.discard_buffers()

    chat = feed([b'a\nb\nc', b'd\n'], b'\n', Discarding)
    assert chat.log == [b'a', 'found', b'd', 'found']


def test_an_error_in_a_callback_leaves_the_rest_for_the_next_read(feed, pair, readable_now):
    class Failing(Chat):
        def found_terminator(self):
            super().found_terminator()
            if self.log[-2] == b'bad':
                raise ValueError('mine')

    near, far = pair()
    chat = Failing(near, {})
    chat.set_terminator(b'\n')
    far.sendall(b'bad\ngood\n')
    readable_now(near)
    with pytest.raises(ValueError, match='mine'):
        chat.handle_read()
    assert chat.log == [b'bad', 'found'] and chat.ac_in_buffer == b'good\n'
    far.sendall(b'more\n')
    readable_now(near)
    chat.handle_read()
    assert chat.log == [b'bad', 'found', b'good', 'found', b'more', 'found']


def test_an_error_from_the_socket_goes_to_handle_error(feed):
    class Failing(Chat):
        def recv(self, size):
            raise OSError(5, 'io')

        def handle_error(self):
            self.log.append('error')

    assert feed([b'x'], b'\n', Failing).log == ['error']


def test_get_data_joins_what_was_collected_and_forgets_it(feed):
    class Collecting(Chat):
        collect_incoming_data = asynchat.async_chat._collect_incoming_data

        def found_terminator(self):
            self.log.append(self._get_data())

    chat = feed(each_byte(b'one\ntwo\nthr'), b'\n', Collecting)
    assert chat.log == [b'one', b'two'] and chat.incoming == [b't', b'h', b'r']
    incoming = chat.incoming
    assert chat._get_data() == b'thr' and chat.incoming is incoming and incoming == []


def test_the_size_of_a_read_is_an_attribute(feed):
    class Small(Chat):
        ac_in_buffer_size = 3

    assert feed([b'abcdef'], b'\n', Small).log == [b'abc']


def test_abstract_methods_say_so():
    chat = asynchat.async_chat(map={})
    for call in (lambda: chat.collect_incoming_data(b''), chat.found_terminator):
        with pytest.raises(NotImplementedError, match='must be implemented in subclass'):
            call()


def test_use_encoding_makes_bytes_of_a_terminator_and_of_output(pair):
    class Encoding(Chat):
        use_encoding = 1
        encoding = 'utf-8'

    near, far = pair()
    chat = Encoding(near, {})
    chat.set_terminator('é')
    assert chat.get_terminator() == 'é'.encode()
    chat.push_with_producer('é')
    chat.initiate_send()
    assert far.recv(100) == 'é'.encode()


def test_a_dialogue_over_a_real_connection(one_pass, until):
    """Server and client in one map, each a chat; the client leaves with close_when_done."""
    mine, answers = {}, []

    class Session(Chat):
        def found_terminator(self):
            self.push(b''.join(self.log).upper() + b'\n')
            self.log.clear()

    class Server(asyncore.dispatcher):
        def handle_accepted(self, sock, addr):
            Session(sock, mine).set_terminator(b'\n')

    class Client(Chat):
        def handle_connect(self):
            self.push(b'one\ntwo\n')

        def found_terminator(self):
            answers.append(b''.join(self.log))
            self.log.clear()
            if len(answers) == 2:
                self.close_when_done()

    server = Server(map=mine)
    server.create_socket()
    server.bind(('127.0.0.1', 0))
    server.listen(5)
    client = Client(map=mine)
    client.set_terminator(b'\n')
    client.create_socket()
    client.connect(server.socket.getsockname())
    until(lambda: list(mine.values()) == [server], one_pass, mine)
    assert answers == [b'ONE', b'TWO']
    server.close()


def test_loops_in_two_threads_with_a_map_each_do_not_meet(pair):
    """Two loops at once: each thread sees only its own channels."""
    results = {}

    def serve(name, near):
        mine = {}

        class Counting(Chat):
            def found_terminator(self):
                super().found_terminator()
                if len(self.log) == 400:
                    self.close()

        chat = Counting(near, mine)
        chat.set_terminator(b'\n')
        asyncore.loop(timeout=1.0, map=mine)
        results[name] = chat.messages()

    threads, ends = [], []
    for name in ('a', 'b'):
        near, far = pair()
        ends.append((name, far))
        threads.append(threading.Thread(target=serve, args=(name, near)))
        threads[-1].start()
    for _ in range(200):
        for name, far in ends:
            far.sendall(name.encode() + b'\n')
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()
    assert results['a'] == [b'a', 'found'] * 200 and results['b'] == [b'b', 'found'] * 200
