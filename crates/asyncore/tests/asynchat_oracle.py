"""Runs asynchat on each case on standard input and prints the result.

A case is one line of words: a script, then the reads.
The script is a comma-separated list of terminators. The first is set at the
start, each of the others when the one before it is found.
A read consists of the terminator to set before it ("=" keeps the current one),
":" and the bytes.
A terminator is "b" and bytes, "n" and a number, or "-" for none. Bytes are in
hexadecimal.

The result is one line with one word for each read: the collected data ("c" and
bytes, adjacent pieces joined), "f" for each terminator found, and "t" with the
terminator that is set afterwards, separated by commas.
"""

import asynchat
import sys


def parse_terminator(word):
    if word == "-":
        return None
    if word[0] == "n":
        return int(word[1:])
    return bytes.fromhex(word[1:])


def format_terminator(terminator):
    if not terminator:
        return "-"
    if isinstance(terminator, int):
        return "n%d" % terminator
    return "b" + terminator.hex()


class Channel(asynchat.async_chat):
    def __init__(self, script):
        super().__init__(map={})
        self.script = script
        self.events = []
        self.next_terminator()

    def next_terminator(self):
        if self.script:
            self.set_terminator(self.script.pop(0))

    def read(self, data):
        self.data = data
        self.handle_read()
        answer = []
        for event in self.events:
            if event and answer and answer[-1]:
                answer[-1] += event
            else:
                answer.append(event)
        self.events = []
        words = ["c" + event.hex() if event else "f" for event in answer]
        words.append("t" + format_terminator(self.get_terminator()))
        return ",".join(words)

    def recv(self, buffer_size):
        return self.data

    def collect_incoming_data(self, data):
        if not data:
            raise ValueError("an empty piece was collected")
        self.events.append(data)

    def found_terminator(self):
        self.events.append(b"")
        self.next_terminator()


def answer(case):
    script, *reads = case.split()
    channel = Channel([parse_terminator(word) for word in script.split(",")])
    answers = []
    for read in reads:
        terminator, data = read.split(":")
        if terminator != "=":
            channel.set_terminator(parse_terminator(terminator))
        answers.append(channel.read(bytes.fromhex(data)))
    return " ".join(answers)


# All is read before anything is written, so that neither side waits for the
# other with a full pipe.
for case in sys.stdin.read().splitlines():
    print(answer(case))
