"""Examples and exit statuses of every command, as its help shows them; tests parse each example."""

from __future__ import annotations

EXAMPLES: dict[str, tuple[str, ...]] = {
    "stylefx": (
        "stylefx transfer song.wav reference.flac -o out.wav",
        "stylefx render other.wav --settings out.json -o other-out.wav",
    ),
    "stylefx train": (
        "stylefx train base.yaml data.corpora=[corpora/mine] -o runs/mine",
        "stylefx train base.yaml -o runs/mine --resume",
        "stylefx train base.yaml optimiser.learning_rate=3e-4 --dry-run",
    ),
    "stylefx config": ("stylefx config", "stylefx config base -o base.yaml"),
    "stylefx evaluate": (
        "stylefx evaluate runs/mine corpora/mine --split test",
        "stylefx evaluate shipped corpora/mine --protocol p1,p4 -o figures",
        "stylefx evaluate shipped corpora/mine --items 50 --json",
    ),
    "stylefx transfer": (
        "stylefx transfer song.wav reference.flac -o out.wav",
        "stylefx transfer takes reference.wav -o styled --album",
        "stylefx transfer voice.wav one.wav two.wav -o out.wav --weight 2 --weight 1 --page out.html",
    ),
    "stylefx render": (
        "stylefx render other.wav --settings out.json -o other-out.wav",
        "stylefx render - --settings out.json -o - --loudness -16",
    ),
    "stylefx export": (
        "stylefx export out.json --to reaper -o out.jsfx",
        "stylefx export out.json --to ffmpeg -o out.sh",
    ),
    "stylefx export-model": (
        "stylefx export-model paper --to onnx -o paper.onnx",
        "stylefx export-model runs/mine --to torch-export -o mine.pt2",
    ),
    "stylefx studio": ("stylefx studio", "stylefx studio corpora/mine", "stylefx studio -o studio-page"),
    "stylefx train-proxy": ("stylefx train-proxy compressor data/voices -o compressor.safetensors --steps 2000 --width 16",),
    "stylefx compare-strategies": ("stylefx compare-strategies corpora/mine -o strategies --strategies ad,spsa",),
    "stylefx-pipe": (
        "stylefx-pipe manifest demo -o mine.yaml",
        "stylefx-pipe build mine.yaml -o corpora/mine",
    ),
    "stylefx-pipe fetch": (
        "stylefx-pipe fetch",
        "stylefx-pipe fetch vctk --dry-run",
        "stylefx-pipe fetch vctk -o data --yes",
    ),
    "stylefx-pipe schema": ("stylefx-pipe schema -o manifest.schema.json",),
    "stylefx-pipe manifest": ("stylefx-pipe manifest", "stylefx-pipe manifest demo -o mine.yaml"),
    "stylefx-pipe scan": ("stylefx-pipe scan mine.yaml -o catalog-0000.parquet",),
    "stylefx-pipe plan": ("stylefx-pipe plan mine.yaml --catalog catalog-0000.parquet", "stylefx-pipe plan mine.yaml --json"),
    "stylefx-pipe build": (
        "stylefx-pipe build mine.yaml --dry-run",
        "stylefx-pipe build mine.yaml -o corpora/mine segment.sample_rate=44100",
        "stylefx-pipe build mine.yaml -o corpora/mine --grow",
        "stylefx-pipe build mine.yaml -o s3://bucket/mine --executor ray --address auto",
    ),
    "stylefx-pipe overlay": ("stylefx-pipe overlay corpora/mine --map mine:loudness",),
    "stylefx-pipe status": ("stylefx-pipe status corpora/mine --json",),
    "stylefx-pipe verify": ("stylefx-pipe verify corpora/mine", "stylefx-pipe verify corpora/mine --deep 0.05"),
    "stylefx-pipe inspect": (
        "stylefx-pipe inspect corpora/mine",
        "stylefx-pipe inspect corpora/mine --source voices --page sample.html",
    ),
    "stylefx-pipe report": ("stylefx-pipe report corpora/mine -o mine.html",),
    "stylefx-pipe preset": ("stylefx-pipe preset mastering song.wav -o mastering.html",),
    "stylefx-pipe publish": (
        "stylefx-pipe publish corpora/mine hf://datasets/me/mine",
        "stylefx-pipe publish corpora/mine s3://bucket/mine --json",
    ),
    "stylefx-pipe compare": ("stylefx-pipe compare corpora/mine corpora/copy",),
    "stylefx-pipe sign": ("stylefx-pipe sign corpora/mine --key private.pem",),
    "stylefx-pipe verify-signature": ("stylefx-pipe verify-signature corpora/mine --key public.pem",),
}

_DONE = ("0", "done")
_WRONG = ("2", "wrong usage, configuration or input; a package is missing")
_STOPPED = ("3", "stopped before its end (disk full, server away, too much failed): the same command goes on")
_SIGNAL = ("130, 143", "Ctrl-C, SIGTERM; what was finished stays")
_OURS = ("1", "an error of ours, with its traceback")

#: commands that can be resumed, and those that find damage or a difference
_RESUMABLE = (
    "stylefx train", "stylefx transfer", "stylefx train-proxy", "stylefx compare-strategies", "stylefx-pipe fetch",
    "stylefx-pipe scan", "stylefx-pipe plan", "stylefx-pipe build", "stylefx-pipe verify", "stylefx-pipe publish",
    "stylefx-pipe overlay",
)  # fmt: skip
_FINDINGS = {
    "stylefx-pipe verify": "damage found",
    "stylefx-pipe compare": "the corpora differ",
    "stylefx-pipe inspect": "the sample is damaged",
    "stylefx-pipe report": "the corpus is damaged",
    "stylefx-pipe verify-signature": "the signature does not fit what is there",
}


def statuses(command: str) -> list[tuple[str, str]]:
    """(exit status, meaning) of a command, "stylefx transfer"; of a program's name alone all that there are."""
    all_of_them = " " not in command
    out = [_DONE, _OURS, _WRONG]
    if all_of_them or command in _RESUMABLE:
        out.append(_STOPPED)
    if all_of_them:
        out.append(("4", "damage or a difference found"))
    elif command in _FINDINGS:
        out.append(("4", _FINDINGS[command]))
    return [*out, _SIGNAL]
