from asyncore_rs.smtpd import *
from asyncore_rs.smtpd import (
    COMMASPACE as COMMASPACE,
    DATA_SIZE_DEFAULT as DATA_SIZE_DEFAULT,
    DEBUGSTREAM as DEBUGSTREAM,
    NEWLINE as NEWLINE,
    Devnull as Devnull,
    __all__ as __all__,
    program as program,
)
