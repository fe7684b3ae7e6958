"""A sample's time limit: it ends the process wherever it hangs, and leaves another's alarm alone."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

from pipelines.workers.limit import sample_limit

#: sleeps in C with the interpreter's lock held, so that no line of Python runs meanwhile
HANG = """
import ctypes, signal, sys
from pipelines.workers.limit import sample_limit
{before}
for _ in range(3):
    with sample_limit(0.5):
        pass
with sample_limit(0.5):
    print("hangs", flush=True)
    ctypes.PyDLL(None).sleep(30)
print("went on")
"""

unix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no alarm")


@unix
@pytest.mark.parametrize(
    "before",
    [
        "",
        "signal.signal(signal.SIGALRM, lambda *_: None)",
        "signal.signal(signal.SIGALRM, signal.SIG_IGN)",
        "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])",
        "signal.setitimer(signal.ITIMER_REAL, 20.0)",
    ],
    ids=["free", "handled", "ignored", "held back", "set by another"],
)
def test_a_process_ends_inside_compiled_code_whoever_has_the_alarm(before):
    start = time.monotonic()
    done = subprocess.run([sys.executable, "-c", HANG.format(before=before)], capture_output=True, text=True, timeout=60)
    assert done.returncode != 0
    assert done.stdout.split() == ["hangs"], done.stderr
    assert time.monotonic() - start < 20.0


@unix
def test_nothing_rings_after_the_sample_and_anothers_alarm_goes_on():
    handler, before = signal.getsignal(signal.SIGALRM), signal.getitimer(signal.ITIMER_REAL)[0]
    with sample_limit(0.2):
        pass
    time.sleep(0.4)
    assert signal.getsignal(signal.SIGALRM) == handler
    assert (signal.getitimer(signal.ITIMER_REAL)[0] > 0) == (before > 0)
    with pytest.raises(ValueError, match="inside"), sample_limit(0.2):
        raise ValueError("inside")
    time.sleep(0.4)
