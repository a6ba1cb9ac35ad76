from typing import Literal

from asyncore_rs import asynchat as asynchat, asyncore as asyncore, smtpd as smtpd

__all__ = ['install']

engine: Literal['rust', 'python']

def install() -> None: ...
