"""Foreign or unindexed tars through the webdataset library: files, http and `pipe:` URLs, brace patterns.

A sample is either one of ours (KEY.a.input.flac, ...) or one recording, of which a keyed stretch of two halves is taken (for
online rendering). Streams have no random access: shards are permuted per epoch and dealt to the ranks, samples shuffled in a
buffer, both keyed; going on after a stop reads and skips what was seen, on the same number of ranks.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from stylefx.audio import decode_audio, mix_down, resample
from stylefx.corpus.batch import Batch, Marks
from stylefx.corpus.dataset import choose_half, choose_start
from stylefx.corpus.order import permutation
from stylefx.corpus.pairs import Audio, Renderer
from stylefx.corpus.tolerance import Tolerance, refuse_unsound
from stylefx.errors import DamageError, UserError
from stylefx.keyed import Draw

_AUDIO = ("flac", "wav", "ogg", "opus", "mp3")
_EMPTY_EPOCHS = 2


def expand(patterns: Sequence[str]) -> list[str]:
    """Brace patterns such as shard-{000..019}.tar -> URLs; a local folder stands for its tars. UserError for one without any."""
    from braceexpand import braceexpand

    return [tar for pattern in patterns for url in braceexpand(pattern) for tar in _tars(url)]


def _tars(url: str) -> list[str]:
    if not Path(url).is_dir():
        return [url]
    found = sorted(str(path) for path in Path(url).rglob("*.tar"))
    if not found:
        raise UserError(f"{url} holds no .tar; give data.corpora tars, or folders that hold them")
    return found


class StreamSet:
    """Samples out of tars. ``half_frames`` and ``sample_rate`` (Hz) say what an item is; recordings are converted to that."""

    def __init__(
        self, patterns: Sequence[str], sample_rate: int, half_frames: int, *, seed: int = 0, crop: int | None = None,
        renderer: Renderer | None = None, buffer: int = 256,
    ):  # fmt: skip
        self.urls = expand(patterns)
        if not self.urls:
            raise UserError("no tars to stream; give data.corpora the files or URLs of tars")
        self.sample_rate, self.half_frames, self.channels = sample_rate, half_frames, 1
        self.seed, self.crop, self.renderer, self.buffer = seed, crop, renderer, buffer

    def describe(self) -> str:
        return f"{len(self.urls)} tars"

    def place(self, position: int) -> tuple[int, int]:
        """A stream has no known length: everything counts as one epoch."""
        return 0, position

    @property
    def frames(self) -> int:
        return min(self.crop or self.half_frames, self.half_frames)

    def raw(self, rank: int, world: int) -> Iterator[tuple[int, dict[str, Any]]]:
        """(epoch, undecoded sample) for ever: this rank's shards in the epoch's order, shuffled in the buffer."""
        import webdataset as wds

        if len(self.urls) < world:
            raise UserError(f"{len(self.urls)} tars cannot be dealt to {world} processes; give at least as many tars")
        epoch = empty = 0
        while True:
            order = permutation(len(self.urls), self.seed, "stream/shards", str(epoch))
            mine = [self.urls[i] for i in order[rank::world]]
            tars = wds.WebDataset(mine, shardshuffle=False, nodesplitter=lambda urls: urls, workersplitter=lambda urls: urls)
            count = 0
            for sample in self._shuffled(tars, epoch, rank):
                count += 1
                yield epoch, sample
            empty = 0 if count else empty + 1
            if empty >= _EMPTY_EPOCHS:
                raise UserError(f"the tars of rank {rank} hold no samples, such as {mine[0]}; fix data.corpora")
            epoch += 1

    def _shuffled(self, samples: Iterator[dict[str, Any]], epoch: int, rank: int) -> Iterator[dict[str, Any]]:
        """A buffer from which a keyed choice leaves whenever a sample enters."""
        words = Draw(self.seed, "stream/shuffle", f"{epoch}/{rank}")
        held: list[dict[str, Any]] = []
        for sample in samples:
            held.append(sample)
            if len(held) > self.buffer:
                at = int(words.words(1)[0] % np.uint64(len(held)))
                held[at], held[-1] = held[-1], held[at]
                yield held.pop()
        for i in permutation(len(held), self.seed, "stream/rest", f"{epoch}/{rank}"):
            yield held[i]

    def item(self, sample: dict[str, Any], epoch: int) -> tuple[Audio, Marks]:
        """Decode one sample, and render it where settings are drawn; DamageError names it and its tar."""
        key = sample["__key__"]
        half, other = choose_half(self.seed, epoch, key)
        document = _document(sample)
        lent = [f"r{i}" for i, r in enumerate(document.get("references", ())) if r["group"] != document["group"]]
        if lent:
            other = Draw(self.seed, "train/stored reference", f"{epoch}/{key}").choice(lent)
        marks = Marks(document.get("label", ""), bool(lent), bool(document.get("nothing_to_do")))
        if self.renderer is not None:
            audio = self._dry(sample, epoch, half, other)
            rendered, marks = self.renderer(key, epoch, audio["dry"], audio["dry_reference"], marks.reference_other)
            return audio | rendered, marks
        wanted = {"input": f"{half}.input", "target": f"{half}.target", "reference": f"{other}.target"}
        return self._members(sample, wanted), marks

    def _dry(self, sample: dict[str, Any], epoch: int, half: str, other: str) -> Audio:
        """The dry halves of one of our samples, or two adjacent stretches of a recording."""
        if f"{half}.dry" in _audio_names(sample):
            return self._members(sample, {"dry": f"{half}.dry", "dry_reference": f"{other}.dry"})
        return self._recording(sample, epoch)

    def _members(self, sample: dict[str, Any], wanted: dict[str, str]) -> Audio:
        names = _audio_names(sample)
        missing = [m for m in wanted.values() if m not in names]
        if missing:
            raise UserError(
                f"sample {sample['__key__']} of {sample['__url__']} has no {missing[0]!r}; tars of plain recordings need "
                "data.render=online"
            )
        return {name: self._fit(sample, names[member]) for name, member in wanted.items()}

    def _fit(self, sample: dict[str, Any], name: str) -> np.ndarray:
        """A member -> float32 (1, half_frames) at our rate."""
        audio = self._mono(sample, name)[:, : self.half_frames]
        if audio.shape[1] < self.half_frames:
            raise UserError(f"a half has {audio.shape[1]} samples at {self.sample_rate} Hz; lower data.half_frames to that")
        return audio

    def _mono(self, sample: dict[str, Any], name: str) -> np.ndarray:
        try:
            audio, rate = decode_audio(sample[name])
        except (UserError, RuntimeError) as error:
            where = f"sample {sample['__key__']} of {sample['__url__']}"
            raise DamageError(f"{where} cannot be decoded: {error}; repair or drop that tar") from error
        audio = mix_down(audio) if audio.shape[0] > 1 else audio
        return audio if rate == self.sample_rate else resample(audio, rate, self.sample_rate)

    def _recording(self, sample: dict[str, Any], epoch: int) -> dict[str, np.ndarray]:
        """A keyed stretch of two halves out of one recording; a shorter one is repeated."""
        found = [name for name in sample if name.rsplit(".", 1)[-1].lower() in _AUDIO]
        if len(found) != 1:
            raise UserError(f"sample {sample['__key__']} of {sample['__url__']} has {len(found)} audio files; one is expected")
        audio, need = self._mono(sample, found[0]), 2 * self.half_frames
        if audio.shape[1] < need:
            audio = np.tile(audio, (1, -(-need // max(audio.shape[1], 1))))
        start = choose_start(self.seed, epoch, sample["__key__"] + "/stretch", audio.shape[1], need)
        a, b = audio[:, start : start + self.half_frames], audio[:, start + self.half_frames : start + need]
        return {"dry": a, "dry_reference": b}


def _audio_names(sample: dict[str, Any]) -> dict[str, str]:
    """{"a.input": "a.input.flac", ...}"""
    return {name.rsplit(".", 1)[0]: name for name in sample if name.rsplit(".", 1)[-1] in _AUDIO}


def _document(sample: dict[str, Any]) -> dict[str, Any]:
    """The JSON of one of our samples; empty for what is not ours."""
    try:
        document = json.loads(sample.get("json", b"{}"))
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


class StreamLoader:
    """One rank's micro-batches from a stream, from ``start_step`` on; decoding in threads."""

    def __init__(
        self, data: StreamSet, *, micro: int, accumulation: int = 1, rank: int = 0, world: int = 1, workers: int = 2,
        start_step: int = 0, stop_step: int, ahead: int = 3, tolerance: Tolerance | None = None,
    ):  # fmt: skip
        self.tolerance = tolerance or Tolerance()
        self.data, self.micro, self.rank, self.world = data, micro, rank, world
        self.workers, self.ahead = max(workers, 1), ahead
        self.skip, self.count = start_step * accumulation * micro, (stop_step - start_step) * accumulation

    def __iter__(self) -> Generator[Batch, None, None]:
        samples = islice(self.data.raw(self.rank, self.world), self.skip, None)
        pool, queue, asked = ThreadPoolExecutor(self.workers), deque[tuple[Any, ...]](), 0
        try:
            while asked < self.count or queue:
                while asked < self.count and len(queue) < self.ahead:
                    group = list(islice(samples, self.micro))
                    queue.append((group, [pool.submit(self.data.item, s, e) for e, s in group]))
                    asked += 1
                yield self._collate(*queue.popleft())
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _sound(self, group: list[tuple[int, dict[str, Any]]], futures: list[Future[Any]]) -> list[tuple[int, str, Audio, Marks]]:
        """(epoch, key, audio, marks) of every item; the first sound one stands for damaged ones that may be passed over."""
        found: list[tuple[int, str, Audio, Marks] | None] = []
        damage: DamageError | None = None
        self.tolerance.total += len(group)
        for (epoch, sample), future in zip(group, futures, strict=True):
            try:
                audio, marks = future.result()
                shape = (self.data.channels, self.data.half_frames)
                refuse_unsound(audio, sample["__key__"], sample["__url__"], shape)
                found.append((epoch, sample["__key__"], audio, marks))
            except DamageError as error:
                damage = error
                self.tolerance.pass_over(sample["__key__"], error)
                found.append(None)
        sound = [item for item in found if item is not None]
        if not sound and damage is not None:
            raise damage
        return [item or sound[0] for item in found]

    def _collate(self, group: list[tuple[int, dict[str, Any]]], futures: list[Future[Any]]) -> Batch:
        items, data = self._sound(group, futures), self.data
        arrays: dict[str, Any] = {name: np.stack([audio[name] for _, _, audio, _ in items]) for name in items[0][2]}
        starts = [choose_start(data.seed, epoch, key, data.half_frames, data.frames) for epoch, key, _, _ in items]
        return Batch(
            keys=[key for _, key, _, _ in items],
            epochs=[epoch for epoch, _, _, _ in items],
            valid=np.ones(len(items), np.float32),
            starts=np.array(starts),
            labels=[marks.label for *_, marks in items],
            reference_other=np.array([marks.reference_other for *_, marks in items], bool),
            nothing_to_do=np.array([marks.nothing_to_do for *_, marks in items], bool),
            **arrays,
        )
