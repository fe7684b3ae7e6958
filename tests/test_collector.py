"""What a command imports is not looked through for garbage; a caller's process is left as it was."""

from __future__ import annotations

import gc
import subprocess
import sys

from stylefx.command_line.collector import importing

_PROGRAM = """
import gc
from stylefx.command_line import collector
collections = []
collector.take_process()
with collector.importing():
    gc.callbacks.append(lambda phase, info: collections.append(phase))
    kept = [[i] for i in range(200000)]
during, frozen = len(collections), gc.get_freeze_count()
print(during == 0, frozen > 200000, gc.isenabled())
{more}
collector.leave_process()
print(gc.get_freeze_count() > 200000)
"""


def _printed(more: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", _PROGRAM.format(more=more)], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_imports_of_a_command_are_not_looked_through_meanwhile_later_or_at_the_end():
    assert _printed("") == ["True"] * 4


def test_packages_that_count_their_objects_at_the_end_find_them_collected():
    assert _printed("import sys; sys.modules['triton'] = sys") == ["True", "True", "True", "False"]


def test_the_process_of_a_caller_keeps_its_collector():
    frozen = gc.get_freeze_count()
    with importing():
        assert not gc.isenabled()
    assert gc.isenabled()
    assert gc.get_freeze_count() == frozen
    gc.disable()
    try:
        with importing():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
