"""Errors that carry the exit status of the command that met them.

A user's mistake is one sentence: what, which value, where, and the cure.
"""

from __future__ import annotations


class StylefxError(Exception):
    """Base class; the commands print its text without a traceback."""

    exit_status = 1
    said_by_another = False  # one of several processes says what all of them ended by


class UserError(StylefxError):
    """Wrong usage, manifest, configuration or input file."""

    exit_status = 2


class ManifestError(UserError):
    """A manifest or a preset that cannot be built from."""


class SourceError(UserError):
    """A source of recordings that is not there, cannot be read, or holds none."""


class CorpusNotFound(UserError):
    """No finished corpus lies where one was looked for."""


class ModelError(UserError):
    """A checkpoint, or a folder of a run, that gives no model."""


class IncompleteError(StylefxError):
    """The work stopped before its end and can be resumed."""

    exit_status = 3


class Interrupted(StylefxError):
    """A signal ended the work, which can be resumed; the exit status is 128 + the signal's number."""

    def __init__(self, text: str, signal_number: int):
        super().__init__(text)
        self.exit_status = 128 + signal_number

    def __reduce__(self) -> tuple[type[Interrupted], tuple[str, int]]:
        return Interrupted, (str(self), self.exit_status - 128)


class DamageError(StylefxError):
    """Verification found something that is not what was committed."""

    exit_status = 4


def first_line(error: BaseException) -> str:
    """What a foreign error says, in short; its class where it says nothing."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
