"""Errors that carry the exit status of the command that met them.

A user's mistake is one sentence: what, which value, where, and the cure.
"""

from __future__ import annotations


class StylefxError(Exception):
    """Base class; the commands print its text without a traceback."""

    exit_status = 1


class UserError(StylefxError):
    """Wrong usage, manifest, configuration or input file."""

    exit_status = 2


class IncompleteError(StylefxError):
    """The work stopped before its end and can be resumed."""

    exit_status = 3


class DamageError(StylefxError):
    """Verification found something that is not what was committed."""

    exit_status = 4
