"""From what is typed to an exit status: errors become one sentence, signals unwind like Ctrl-C.

Exit status: 0 done, 1 internal error, 2 usage or manifest, 3 incomplete (resumable), 4 damage found, 130/143 interrupted.
"""

from __future__ import annotations

import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import click

from stylefx.command_line.collector import leave_process, take_process
from stylefx.command_line.talk import end_verbose, is_verbose, set_talk
from stylefx.errors import StylefxError
from stylefx.extras import missing_package


class Terminated(KeyboardInterrupt):
    """A signal that ends the process, raised like Ctrl-C, so that what is half done is cleaned up."""

    def __init__(self, number: int):
        super().__init__()
        self.exit_status = 128 + number


@contextmanager
def ends_like_interrupt() -> Iterator[None]:
    """In this context SIGTERM and SIGHUP (unless ignored, as under nohup) unwind the stack as Ctrl-C does."""

    def end(number: int, frame: FrameType | None) -> None:
        raise Terminated(number)

    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {}
    if threading.current_thread() is threading.main_thread():
        before = {n: signal.signal(n, end) for n in numbers if signal.getsignal(n) is signal.SIG_DFL}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def run(group: click.Group, args: list[str] | None = None, extra: str = "train") -> None:
    """Run the command and leave the process with its exit status; a user's mistake prints no traceback.

    ``args``: None for those of the process, which then ends with the command. ``extra``: the one that installs what this command
    needs.
    """
    take_process(args is None)
    set_talk()
    try:
        status = group.main(args=args, standalone_mode=False)
    except click.ClickException as error:
        error.show()
        status = 2
    except (KeyboardInterrupt, click.Abort) as error:
        click.echo("interrupted", err=True)
        status = getattr(error.__cause__ or error, "exit_status", 130)  # click wraps what interrupts
    except StylefxError as error:
        from stylefx.logs import logger  # 6 ms that --help need not spend

        if is_verbose():
            traceback.print_exc()
        if not error.said_by_another:
            logger.error("%s", error)
            click.echo(f"error: {error}", err=True)
        status = error.exit_status
    except ModuleNotFoundError as error:
        sentence = missing_package(error, extra)
        if sentence is None:
            raise
        click.echo(f"error: {sentence}", err=True)
        status = 2
    except BrokenPipeError:  # the reader of a pipe left, as in `| head`
        sys.stderr.close()
        status = 0
    status = status if isinstance(status, int) else 0
    if is_verbose():
        end_verbose(status)
    leave_process()
    sys.exit(status)
