"""`ac_in_buffer` is an attribute like any other, whenever a program looks at it or changes it.

What is left of a long input is not copied for each of its messages; here it is long and short.
"""

import pytest
from channels import Chat

SIZES = pytest.mark.parametrize('size', [10, 1000], ids=['short', 'long'])


@pytest.fixture
def chat(pair, readable_now):
    """chat(cls, data): the channel, which has just read `data`."""
    def chat(cls, data):
        near, far = pair()
        chat = cls(near, {})
        chat.set_terminator(b';')
        far.sendall(data)
        readable_now(near)
        chat.handle_read()
        return chat
    return chat


@SIZES
def test_it_is_in_the_dictionary_of_the_channel_before_and_after_a_read(chat, size):
    channel = chat(Chat, b'a;' * size)
    assert vars(channel)['ac_in_buffer'] == b''
    assert vars(Chat(map={}))['ac_in_buffer'] == b''
    names = set(vars(Chat(map={}))) | {'socket', 'connected', 'addr', 'terminator'}
    assert set(vars(channel)) == names


@SIZES
def test_it_is_whole_while_a_message_is_collected_and_shorter_when_it_is_found(chat, size):
    class Looking(Chat):
        def collect_incoming_data(self, data):
            self.log.append((data, self.ac_in_buffer))

        def found_terminator(self):
            self.log.append(self.ac_in_buffer)

    channel = chat(Looking, b'a;' * size)
    expected = []
    for left in range(size, 0, -1):
        expected += [(b'a', b'a;' * left), b'a;' * (left - 1)]
    assert channel.log == expected


@SIZES
def test_what_is_put_there_is_read_next_also_if_it_was_there_before(chat, size):
    class Repeating(Chat):
        whole = None

        def collect_incoming_data(self, data):
            super().collect_incoming_data(data)
            self.whole = self.whole or self.ac_in_buffer

        def found_terminator(self):
            super().found_terminator()
            if len(self.log) == 2:
                self.ac_in_buffer = self.whole
            elif len(self.log) == 4:
                self.ac_in_buffer += b'b;'

    channel = chat(Repeating, b'a;' + b'x;' * size)
    assert channel.log == [b'a', 'found'] * 2 + [b'x', 'found'] * size + [b'b', 'found']


@SIZES
def test_it_can_be_exchanged_while_data_is_collected(chat, size):
    class Exchanging(Chat):
        def collect_incoming_data(self, data):
            super().collect_incoming_data(data)
            if data == b'a':
                self.ac_in_buffer = b'12345;6;'

    channel = chat(Exchanging, b'a;' * size)
    assert channel.log == [b'a', 'found', b'345', 'found', b'6', 'found']


@SIZES
def test_it_can_be_exchanged_while_the_terminator_is_asked_for(chat, size):
    class Exchanging(Chat):
        def get_terminator(self):
            if not self.log:
                self.ac_in_buffer = b'1' + self.ac_in_buffer
            return b';'

    channel = chat(Exchanging, b'a;' * size)
    assert channel.log == [b'1a', 'found'] + [b'a', 'found'] * (size - 1)


@SIZES
def test_after_an_error_it_holds_what_is_left(chat, size):
    class Failing(Chat):
        def found_terminator(self):
            super().found_terminator()
            if len(self.log) == 4:
                failed.append(self)
                raise LookupError('mine')

    failed = []
    with pytest.raises(LookupError, match='mine'):
        chat(Failing, b'a;' * size)
    assert vars(failed[0])['ac_in_buffer'] == b'a;' * (size - 2)


@SIZES
def test_a_read_within_a_callback_goes_on_with_what_is_left(chat, size):
    class Nesting(Chat):
        def recv(self, size):
            return b'b;' if self.log else super().recv(size)

        def found_terminator(self):
            super().found_terminator()
            if len(self.log) == 2:
                self.handle_read()

    channel = chat(Nesting, b'a;' * size)
    assert channel.log == [b'a', 'found'] * size + [b'b', 'found']
    assert channel.ac_in_buffer == b''
