"""The command ``stylefx-pipe``: from recordings to a verified corpus."""

from __future__ import annotations

import os

import click

from stylefx import __version__
from stylefx.command_line import LazyGroup, run

COMMANDS = {
    "fetch": ("pipelines.cli.fetch:fetch", "Download and unpack a public corpus."),
    "schema": ("pipelines.cli.plan:schema", "Print the manifest's JSON Schema."),
    "manifest": ("pipelines.cli.plan:manifest", "Print a manifest that comes with stylefx, to start from."),
    "scan": ("pipelines.cli.plan:scan", "Decode every recording once and write the catalog."),
    "plan": ("pipelines.cli.plan:plan", "Decide which samples go into which shard; print the counts."),
    "build": ("pipelines.cli.build:build", "Build or resume a corpus."),
    "overlay": ("pipelines.cli.overlay:overlay", "Map a finished corpus to derived columns beside it."),
    "status": ("pipelines.cli.build:status", "Say how far a build is."),
    "verify": ("pipelines.cli.build:verify", "Check a corpus against what was committed."),
    "inspect": ("pipelines.cli.look:inspect", "Show a sample: recipe, settings, metrics, audio."),
    "report": ("pipelines.cli.look:report", "Write one HTML page about a corpus."),
    "preset": ("pipelines.cli.look:preset", "Write a page to hear and see what a preset does to a recording."),
    "publish": ("pipelines.cli.publish:publish", "Upload a corpus to a hub or an object store."),
    "compare": ("pipelines.cli.look:compare", "Say what differs between two corpora."),
    "sign": ("pipelines.cli.sign:sign", "Sign a corpus or a model."),
    "verify-signature": (
        "pipelines.cli.sign:verify_signature",
        "Check who signed a corpus or a model, and that nothing changed.",
    ),
}


#: keeps numpy and pyarrow from starting threads when they are imported, so that workers can be forked from this process
_FORKABLE = {"OPENBLAS_NUM_THREADS": "1", "JE_ARROW_MALLOC_CONF": "background_thread:false"}


@click.group(cls=LazyGroup, lazy=COMMANDS, program="stylefx-pipe", context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="stylefx-pipe")
def cli() -> None:
    """Build corpora of processed audio pairs: deterministic, resumable, verified."""


def main() -> None:
    for name, value in _FORKABLE.items():
        os.environ.setdefault(name, value)
    run(cli, extra="pipe")


if __name__ == "__main__":
    main()
