"""A corpus in Python: iterate over its samples, hear them, read its tables as Arrow or pandas.

corpus = stylefx.open_corpus("corpora/mine")
for sample in corpus.select("train"):
    sample.input, sample.target          # float32 (channels, samples)
corpus.pandas("test").groupby("label").size()
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from stylefx.audio.spectra import average_power, smooth_octaves
from stylefx.audio.writing import encode_audio
from stylefx.corpus.reader import Corpus, SampleRef
from stylefx.corpus.reader import open_corpus as open_reader
from stylefx.corpus.schema import BRANCHES, HALVES, STATUS_OK
from stylefx.errors import UserError
from stylefx.extras import missing_package
from stylefx.files.notebook import block, player, preformatted, spectra, table

if TYPE_CHECKING:
    import pandas

_SHOWN = 2  # samples that a notebook plays


@dataclass(frozen=True)
class CorpusSample:
    """One sample; its audio is read when asked for, ``sample["a.input"]`` or both halves in a row as ``sample.input``."""

    corpus: Corpus
    ref: SampleRef
    split: str

    @property
    def key(self) -> str:
        return self.ref.key

    @property
    def label(self) -> str | None:
        return self.ref.label

    @property
    def group(self) -> str:
        return self.ref.group

    @property
    def source(self) -> str:
        return self.ref.source

    @property
    def sample_rate(self) -> int:
        return self.corpus.sample_rate

    @property
    def names(self) -> tuple[str, ...]:
        """What audio it has: "a.input", "b.input", ..."""
        return tuple(name.rsplit(".", 1)[0] for name in self.ref.members if name != "json")

    @property
    def document(self) -> dict[str, Any]:
        """Recipe, settings, gains, metrics, provenance: the sample's JSON."""
        return self.corpus.metadata(self.ref)

    def __getitem__(self, name: str) -> np.ndarray:
        """One half, such as "a.input": float32 (channels, samples)."""
        return self.corpus.read(self.ref, [name])[name]

    def joined(self, branch: str) -> np.ndarray:
        """Both halves of "input", "target" or "dry", one after the other: float32 (channels, 2 x half_frames)."""
        halves = self.corpus.read(self.ref, [f"{half}.{branch}" for half in HALVES])
        return np.concatenate(list(halves.values()), axis=1)

    @property
    def input(self) -> np.ndarray:
        return self.joined("input")

    @property
    def target(self) -> np.ndarray:
        return self.joined("target")

    def __repr__(self) -> str:
        return f"<sample {self.key} of {self.split}{': ' + self.label if self.label else ''}>"

    def _repr_html_(self) -> str:
        found = {branch: self.joined(branch) for branch in BRANCHES if f"a.{branch}" in self.names}
        players = [
            player(encode_audio(audio, self.sample_rate, "flac16", "scale"), "flac", name) for name, audio in found.items()
        ]
        curves = {name: spectrum_db(audio, self.sample_rate) for name, audio in found.items()}
        facts = "\n".join(f"{k}: {v:.2f}" for k, v in self.document.get("metrics", {}).items() if v is not None)
        return block(repr(self)[1:-1], *players, spectra(curves, f"spectra of {self.key}"), preformatted(facts))


def spectrum_db(audio: np.ndarray, sample_rate: float) -> tuple[list[float], list[float]]:
    """The average spectrum in sixths of an octave: frequencies in Hz, levels in dB."""
    frequency, power = average_power(audio, sample_rate)
    smooth = 10.0 * np.log10(np.maximum(smooth_octaves(frequency, power, 1 / 6), 1e-16))
    at = np.unique(np.searchsorted(frequency, np.geomspace(20.0, frequency[-1], 160)).clip(1, len(frequency) - 1))
    return frequency[at].tolist(), smooth[at].tolist()


class OpenedCorpus(Corpus):
    """What ``stylefx.open_corpus`` gives: a corpus as a collection of samples, in corpus order."""

    def __len__(self) -> int:
        return sum(shard.samples for shard in self.shards)

    def __iter__(self) -> Iterator[CorpusSample]:
        for split in self.splits:
            yield from self.select(split)

    def select(self, split: str) -> Iterator[CorpusSample]:
        """The samples of a split, shard by shard."""
        for shard in self.shards_of(split):
            for ref in self.table(shard.name):
                yield CorpusSample(self, ref, split)

    def __getitem__(self, key: str) -> CorpusSample:
        for sample in self:
            if sample.key == key:
                return sample
        raise UserError(f"{self.store} has no sample {key!r}; corpus.arrow()['key'] lists them")

    def arrow(self, split: str | None = None, columns: Sequence[str] | None = None, everything: bool = False) -> pa.Table:
        """The tables of a split (or of all) as one: key, source, group, label, split, status, metrics, settings (JSON), ...

        ``everything``: also what was left out, with its reason.
        """
        shards = self.shards if split is None else self.shards_of(split)
        wanted = None if columns is None else list(dict.fromkeys([*columns, "status"]))
        parts = [pq.read_table(self.store.path(f"{s.name}.parquet", s.parquet_sha256), columns=wanted) for s in shards]
        whole = pa.concat_tables(parts, promote_options="default")
        if not everything:
            whole = whole.filter(pc.equal(whole["status"], STATUS_OK))
        return whole if columns is None else whole.select(list(columns))

    def pandas(
        self, split: str | None = None, columns: Sequence[str] | None = None, everything: bool = False
    ) -> pandas.DataFrame:
        """``arrow`` as a data frame."""
        try:
            import pandas  # noqa: F401 - pyarrow imports it itself, and says less clearly that it is missing
        except ModuleNotFoundError as error:
            raise UserError(missing_package(error, "ray-train") or str(error)) from error
        frame: pandas.DataFrame = self.arrow(split, columns, everything).to_pandas()
        return frame

    def __repr__(self) -> str:
        counts = ", ".join(f"{sum(s.samples for s in self.shards_of(split))} {split}" for split in self.splits)
        shape = f"halves of {self.channels} x {self.half_frames} at {self.sample_rate} Hz"
        return f"<corpus {self.store}: {len(self)} samples ({counts}), {shape}>"

    def _repr_html_(self) -> str:
        hours = 2 * self.half_frames / self.sample_rate / 3600
        rows = []
        for split in self.splits:
            shards = self.shards_of(split)
            samples = sum(s.samples for s in shards)
            rows.append((split, samples, samples * hours, len(shards), sum(s.bytes for s in shards) / 1e6))
        shown = [sample._repr_html_() for sample, _ in zip(self, range(_SHOWN), strict=False)]
        return block(repr(self)[1:-1], table(("split", "samples", "hours", "shards", "MB"), rows), *shown)


def open_corpus(
    path: str | Path,
    generations: Iterable[int] | None = None,
    cache: str | Path | None = None,
    cache_bytes: int = 50 * 10**9,
) -> OpenedCorpus:
    """Open a finished corpus, local or at a URL, to iterate over it and to read its tables; see ``stylefx.corpus.reader``.

    Raises CorpusNotFound where the build has not finished.
    """
    found = open_reader(path, generations, cache, cache_bytes)
    return OpenedCorpus(found.store, found.index, found.generations)
