from asyncore_rs import asynchat as asynchat, asyncore as asyncore, smtpd as smtpd

__all__ = ['install']

def install() -> None: ...
