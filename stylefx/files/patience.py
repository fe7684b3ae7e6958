"""Patience with servers that are away for a while: the one loop that tries again.

``with_patience`` is for requests that succeed or fail as a whole. ``repeat`` is the loop itself, for a caller that judges
errors on its own, such as a download that goes on where it stopped.
"""

from __future__ import annotations

import errno
import math
import re
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from stylefx.errors import IncompleteError, StylefxError
from stylefx.files.address import redact

T = TypeVar("T")

#: set when this process is about to end: who waits for a server gives up
ending = threading.Event()


@dataclass(frozen=True)
class Patience:
    """How long to go on: attempts in a row that bring nothing, the first pause and the longest (each twice the one before),
    the time limit of one request, and the time after which no new attempt begins."""

    attempts: int = 6
    first_pause_s: float = 1.0
    longest_pause_s: float = 60.0
    timeout_s: float = 60.0
    total_s: float = math.inf

    def pause_s(self, failures: int) -> float:
        return min(self.longest_pause_s, self.first_pause_s * 2.0 ** min(failures - 1, 60))


#: of a request to an object store or a source: two minutes, however many attempts fit in
SERVER = Patience(attempts=1_000_000, first_pause_s=0.2, longest_pause_s=5.0, total_s=120.0)


@dataclass(frozen=True)
class Again:
    """That an attempt is worth another. ``wait_s``: what the server asked for; ``progressed``: this one did bring something."""

    wait_s: float = 0.0
    progressed: bool = False


def repeat(call: Callable[[], T], patience: Patience, judge: Callable[[Exception], Again | None]) -> T:
    """Call until it succeeds; the error is raised when ``judge`` answers None or patience ends."""
    began, failures = time.monotonic(), 0
    while True:
        try:
            return call()
        except Exception as error:
            again = judge(error)
            failures = 1 if again is not None and again.progressed else failures + 1
            if again is None or failures >= patience.attempts or time.monotonic() - began > patience.total_s:
                raise
            if ending.wait(max(patience.pause_s(failures), min(again.wait_s, patience.longest_pause_s))):
                raise


def with_patience(where: str, what: str, call: Callable[[], T], patience: Patience | None = None) -> T:
    """Repeat a request while the server is away (default: ``SERVER``); what it refuses is an IncompleteError of one sentence.

    FileNotFoundError and our own errors pass.
    """
    try:
        return repeat(call, patience or SERVER, _judge)
    except (FileNotFoundError, StylefxError):
        raise
    except Exception as error:  # noqa: BLE001 - foreign drivers raise their own classes; a network is a process boundary
        if isinstance(error, PermissionError) or _status(error) in (401, 403):
            raise IncompleteError(f"{where} refused to {what}: {redact(str(error))}; check the credentials") from None
        raise IncompleteError(
            f"{where} failed to {what} ({type(error).__name__}: {redact(str(error))[:300]}); "
            "when it answers again, run the same command again"
        ) from None  # the cause may carry signed requests


def _judge(error: Exception) -> Again | None:
    final = isinstance(error, (FileNotFoundError, PermissionError, StylefxError))
    return None if final or not _transient(error) else Again()


_AWAY_NUMBERS = (errno.EIO, errno.EBUSY, errno.EAGAIN, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ESTALE)
_AWAY_NAMES = ("Connect", "Timeout", "HTTPClient", "Disconnected", "Payload", "IncompleteRead", "ProtocolError")
_AWAY_STATUSES = (408, 425, 429, 500, 502, 503, 504)


def _status(error: BaseException) -> int | None:
    """The HTTP status that a client's exception carries."""
    for holder in (error, getattr(error, "response", None)):
        for name in ("status", "status_code"):
            if isinstance(found := getattr(holder, name, None), int):
                return found
    return None


def _transient(error: BaseException) -> bool:
    """Whether waiting may help: connections, unknown hosts, time-outs and answers 5xx, whatever the client calls them; not a
    refusal."""
    chain: BaseException | None = error
    while chain is not None:
        names = [kind.__name__ for kind in type(chain).__mro__]
        if isinstance(chain, (ConnectionError, TimeoutError, socket.gaierror)):
            return True
        if any(word in name for word in _AWAY_NAMES for name in names):
            return True
        if _status(chain) in _AWAY_STATUSES or (isinstance(chain, OSError) and chain.errno in _AWAY_NUMBERS):
            return True
        chain = chain.__cause__ or chain.__context__
    return bool(re.search(r"\b(50[0234]|SlowDown|ServiceUnavailable|InternalError|RequestTimeout)\b", str(error)))
