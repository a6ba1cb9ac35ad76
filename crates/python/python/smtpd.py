"""The module that Python 3.12 removed; `python -m smtpd --help` says what the program does."""

import sys

from asyncore_rs import smtpd

if __name__ == '__main__':
    smtpd._main()
else:
    sys.modules[__name__] = smtpd
