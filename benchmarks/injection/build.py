"""The victim ``stylefx-pipe build``: a small corpus with child processes, its output, cache and journal."""

from __future__ import annotations

import gc
import json
import os
import sys
from pathlib import Path

import soundfile
import yaml

from benchmarks.injection.rounds import Victim, digest_of
from tests.support.builds import RATE, manifest_for, tone_bursts

#: of a sidecar: what tells who made a shard and how long it took
_VOLATILE = ("builder", "seconds", "wall_s", "finished_s", "attempts", "node", "peak_memory_mb")


class BuildVictim(Victim):
    """Three speakers with a recording each, three shards; Vorbis goes through the cache."""

    def __init__(self, folder: Path, seconds: float = 3.2):
        super().__init__(folder)
        self.corpus = folder / "round/corpus"
        os.environ["STYLEFX_CACHE"] = str(folder / "round/cache")
        sources = folder / "voices"
        for speaker, kind in enumerate(("wav", "flac", "ogg")):
            (sources / f"speaker-{speaker}").mkdir(parents=True)
            soundfile.write(sources / f"speaker-{speaker}/voice.{kind}", tone_bursts(seconds, RATE, speaker), RATE)
        self.manifest = folder / "manifest.yaml"
        self.manifest.write_text(yaml.safe_dump(manifest_for(sources, self.corpus).to_dict()))

    def warm(self) -> None:
        """What ``build`` loads before it forks its workers."""
        import importlib

        import pipelines.render.decode as decode
        from pipelines.builder.early import EarlyStart
        from pipelines.builder.job import BuildOptions
        from pipelines.manifest.load import load_manifest
        from pipelines.shards.make import load_ahead

        for module in ("builder.driver", "builder.run", "cli.build", "corpus.view"):
            importlib.import_module(f"pipelines.{module}")
        decode._SPOOLED_S = 2.0  # so that short recordings go through the cache too
        EarlyStart(load_manifest(str(self.manifest), ()), BuildOptions()).load()
        load_ahead()
        gc.collect()
        gc.freeze()

    def begin(self) -> None:
        pass

    def main(self) -> int:
        from pipelines.cli.main import main

        sys.argv = ["stylefx-pipe", "build", str(self.manifest), "--workers", "1", "--progress", "lines"]
        main()
        return 0

    def left(self) -> dict[str, str]:
        out = {}
        for path in sorted(self.corpus.rglob("*")):
            if path.is_file():
                name, data = str(path.relative_to(self.corpus)), path.read_bytes()
                if path.suffix == ".json" and path.parent != self.corpus:
                    data = json.dumps({k: v for k, v in json.loads(data).items() if k not in _VOLATILE}).encode()
                out[name] = digest_of(data)
        return out
