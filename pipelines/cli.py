"""The command ``stylefx-pipe``: from recordings to a verified corpus."""

from __future__ import annotations

import os

import click

from stylefx import __version__
from stylefx.command_line import LazyGroup, run

COMMANDS = {
    "fetch": ("pipelines.cli_plan:fetch", "Download and unpack a public corpus."),
    "schema": ("pipelines.cli_plan:schema", "Print the manifest's JSON Schema."),
    "scan": ("pipelines.cli_plan:scan", "Decode every recording once and write the catalog."),
    "plan": ("pipelines.cli_plan:plan", "Decide which samples go into which shard; print the counts."),
    "build": ("pipelines.cli_build:build", "Build or resume a corpus."),
    "status": ("pipelines.cli_build:status", "Say how far a build is."),
    "verify": ("pipelines.cli_build:verify", "Check a corpus against what was committed."),
    "inspect": ("pipelines.cli_look:inspect", "Show a sample: recipe, settings, metrics, audio."),
    "report": ("pipelines.cli_look:report", "Write one HTML page about a corpus."),
    "compare": ("pipelines.cli_look:compare", "Say what differs between two corpora."),
}

#: keeps numpy and pyarrow from starting threads when they are imported, so that workers can be forked from this process
_FORKABLE = {"OPENBLAS_NUM_THREADS": "1", "JE_ARROW_MALLOC_CONF": "background_thread:false"}


@click.group(cls=LazyGroup, lazy=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="stylefx-pipe")
def cli() -> None:
    """Build corpora of processed audio pairs: deterministic, resumable, verified."""


def main() -> None:
    for name, value in _FORKABLE.items():
        os.environ.setdefault(name, value)
    run(cli)


if __name__ == "__main__":
    main()
