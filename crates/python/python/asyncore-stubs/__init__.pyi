from asyncore_rs.asyncore import *
from asyncore_rs.asyncore import (
    _DISCONNECTED as _DISCONNECTED,
    _exception as _exception,
    _Map as _Map,
    _reraised_exceptions as _reraised_exceptions,
    _strerror as _strerror,
)
