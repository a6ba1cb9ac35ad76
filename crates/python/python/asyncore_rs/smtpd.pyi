from collections import defaultdict
from typing import Any, TextIO
from typing_extensions import TypeAlias

from asyncore_rs import asynchat as asynchat, asyncore as asyncore

__all__ = ['SMTPChannel', 'SMTPServer', 'DebuggingServer', 'PureProxy']

_Address: TypeAlias = tuple[str, int]

program: str
__version__: str
NEWLINE: str
COMMASPACE: str
DATA_SIZE_DEFAULT: int

class Devnull:
    def write(self, msg: str) -> None: ...
    def flush(self) -> None: ...

DEBUGSTREAM: Devnull | TextIO

class SMTPChannel(asynchat.async_chat):
    COMMAND: int
    DATA: int
    command_size_limit: int
    command_size_limits: defaultdict[str, int]
    smtp_server: SMTPServer
    conn: Any
    addr: Any
    peer: Any
    fqdn: str
    seen_greeting: str
    extended_smtp: bool
    mailfrom: str | None
    rcpttos: list[str]
    received_data: Any
    received_lines: list[Any]
    smtp_state: int
    data_size_limit: int | None
    enable_SMTPUTF8: bool
    @property
    def max_command_size_limit(self) -> int: ...
    def __init__(
        self,
        server: SMTPServer,
        conn: Any,
        addr: Any,
        data_size_limit: int | None = 33554432,
        map: asyncore._Map | None = None,
        enable_SMTPUTF8: bool = False,
        decode_data: bool = False,
    ) -> None: ...
    def push(self, msg: str) -> None: ...  # type: ignore[override]
    def smtp_HELO(self, arg: str | None) -> None: ...
    def smtp_EHLO(self, arg: str | None) -> None: ...
    def smtp_NOOP(self, arg: str | None) -> None: ...
    def smtp_QUIT(self, arg: str | None) -> None: ...
    def smtp_HELP(self, arg: str | None) -> None: ...
    def smtp_VRFY(self, arg: str | None) -> None: ...
    def smtp_MAIL(self, arg: str | None) -> None: ...
    def smtp_RCPT(self, arg: str | None) -> None: ...
    def smtp_RSET(self, arg: str | None) -> None: ...
    def smtp_DATA(self, arg: str | None) -> None: ...
    def smtp_EXPN(self, arg: str | None) -> None: ...

class SMTPServer(asyncore.dispatcher):
    channel_class: type[SMTPChannel]
    data_size_limit: int | None
    enable_SMTPUTF8: bool
    def __init__(
        self,
        localaddr: _Address,
        remoteaddr: _Address | None,
        data_size_limit: int | None = 33554432,
        map: asyncore._Map | None = None,
        enable_SMTPUTF8: bool = False,
        decode_data: bool = False,
    ) -> None: ...
    def handle_accepted(self, conn: Any, addr: Any) -> None: ...
    # The text of an answer, or None for 250 OK. `data` is text if `decode_data` is true.
    def process_message(
        self, peer: Any, mailfrom: str, rcpttos: list[str], data: Any, **kwargs: Any
    ) -> str | None: ...

class DebuggingServer(SMTPServer): ...
class PureProxy(SMTPServer): ...
