"""The attributes of SMTPChannel by the names they had before Python 2.7."""

from warnings import warn


def _renamed(old, new):
    def fget(self):
        warn(f"Access to {old} attribute on SMTPChannel is deprecated, use {new!r} instead",
             DeprecationWarning, 2)
        return getattr(self, new)

    def fset(self, value):
        warn(f"Setting {old} attribute on SMTPChannel is deprecated, set {new!r} instead",
             DeprecationWarning, 2)
        setattr(self, new, value)

    return property(fget, fset)


class OldNames:
    """Each warns when it is used."""

    _SMTPChannel__server = _renamed('__server', 'smtp_server')
    _SMTPChannel__line = _renamed('__line', 'received_lines')
    _SMTPChannel__state = _renamed('__state', 'smtp_state')
    _SMTPChannel__greeting = _renamed('__greeting', 'seen_greeting')
    _SMTPChannel__mailfrom = _renamed('__mailfrom', 'mailfrom')
    _SMTPChannel__rcpttos = _renamed('__rcpttos', 'rcpttos')
    _SMTPChannel__data = _renamed('__data', 'received_data')
    _SMTPChannel__fqdn = _renamed('__fqdn', 'fqdn')
    _SMTPChannel__peer = _renamed('__peer', 'peer')
    _SMTPChannel__conn = _renamed('__conn', 'conn')
    _SMTPChannel__addr = _renamed('__addr', 'addr')
