"""What ``benchmarks.fuzz`` gives its inputs to: the readers of files that come from others, with good files to begin from."""

from __future__ import annotations

import hashlib
import json
import tempfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stylefx.errors import StylefxError, UserError


@dataclass
class Reader:
    """``good`` inputs, and what reads one; ``documents``: JSON-like ones, which ``dump`` writes down for ``read``."""

    good: list[bytes]
    read: Callable[[Any], object]
    dump: Callable[[Any], Any] | None = None
    documents: list[Any] = field(default_factory=list)


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UserError("not UTF-8") from error


def tar_reader() -> Reader:
    """Tars of corpora (our walker) and of recordings (the archive index), and zips."""
    import io
    import zipfile

    from pipelines.corpus.tar import TarWriter, walk
    from pipelines.sources.archives import _explained, _index_tar, _index_zip

    file = io.BytesIO()
    writer = TarWriter(file)
    for name in ("a-0123456789abcdef-00000.a.input.flac", "a-0123456789abcdef-00000.json"):
        writer.add(name, b"{}" * 40)
    writer.finish()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("voices/one.wav", b"RIFF" * 30)
        archive.writestr("voices/one.json", '{"speaker": "a"}')

    def read(data: bytes) -> None:
        if data[:2] == b"PK":
            with _explained("archive.zip"):
                _index_zip(io.BytesIO(data), "archive.zip", 1.0, 200.0)
            return
        with _explained("archive.tar"):
            _index_tar(io.BytesIO(data), "archive.tar", 1.0, 200.0)
        list(walk(iter([data]), len(data)))

    return Reader([file.getvalue(), packed.getvalue()], read)


def manifest_reader() -> Reader:
    """Manifests as YAML, and documents such as ``stylefx.build_corpus`` takes; and what both resolve to.

    A document goes to the validation as it is: most of the time that a file takes is YAML's, which the other half reads.
    """
    import yaml

    from pipelines.manifest.load import manifest_of
    from stylefx.config.read import parse_yaml

    small = {
        "name": "m", "output": "out", "seed": 3,
        "sources": [{"name": "s", "path": "data", "group": {"parent": 1}, "licence": "CC0"}],
        "segment": {"half_frames": 8192, "sample_rate": 24000},
        "augment": {"pitch_cents": {"uniform": [-100, 100]}, "tempo": {"normal": [1, 0.1], "clip": [0.8, 1.2]}},
        "chains": {"input": [], "target": [{"step": "effect", "effect": "gain", "settings": {"gain_db": 3}}]},
        "split": {"fractions": {"train": 0.8, "val": 0.1, "test": 0.1}}, "filters": {"min_lufs": -50}, "shard": {"samples": 8},
    }  # fmt: skip
    listed = {
        "name": "l", "output": "out",
        "sources": [
            {"name": "l", "path": "a.csv", "columns": {"path": "file"}, "select": "year >= 1990", "group": {"column": "who"}}],
        "reference": {"from": "both", "share": 0.5, "count": 2}, "level": {"lufs": -23}, "licences": ["CC-BY-*", "!*-NC-*"],
        "selection": {"hours": {"train": 1}, "balance": {"by": "who"}}, "nothing_to_do": {"share": 0.1}, "audio_format": "flac16",
    }  # fmt: skip
    styled = {
        "name": "t", "output": "out",
        "sources": [{"name": "t", "path": "d", "group": {"regex": "([mf])_", "otherwise": "x", "scope": "s"}, "split": "train"}],
        "chains": {
            "finish": [{"step": "fade", "ms": 50}, {"step": "normalise", "peak_dbfs": -12}],
            "styles": [{"label": "a", "target": [
                {"step": "effect", "effect": "compressor", "settings": {"ratio": 4}, "mix": 0.5}]}],
        },
        "join": {"every": 4}, "render": {"engine": "sox"}, "limits": {"shard_seconds": 60}, "store": "dry",
    }  # fmt: skip
    documents = [small, listed, styled]

    def read(data: Any) -> None:
        if isinstance(data, bytes):
            data, _ = parse_yaml(_text(data), "m.yaml")
        if not isinstance(data, dict):
            raise UserError("no mapping")
        manifest = manifest_of(data)
        _ = manifest.resolved_chains, manifest.recipe_digest()

    good = [text(d).encode() for d in documents for text in (yaml.safe_dump, json.dumps)]
    return Reader(good, read, lambda value: value, documents)


def settings_reader() -> Reader:
    """Settings and chains as ``stylefx render`` takes them."""
    from stylefx.config.read import parse_json
    from stylefx.effects.presets import deepafx_st_chain
    from stylefx.inference.settings_file import StyleSettings

    chain = deepafx_st_chain()
    whole = StyleSettings.of(chain, chain.settings(chain.default_controls), sample_rate=44100.0, output_gain_db=-1.5).to_dict()
    small = {
        "format": "stylefx-settings",
        "version": 1,
        "effects": [{"effect": "gain", "settings": {"gain_db": -3.5}, "mix": 0.5}],
    }

    def read(data: bytes) -> None:
        settings = StyleSettings.from_dict(parse_json(_text(data), "s.json"), "s.json")
        json.dumps(settings.to_dict(), allow_nan=False)

    good = [json.dumps(d, indent=1).encode() for d in (whole, small)]
    return Reader(good, read, lambda value: json.dumps(value).encode(), [whole, small])


def checkpoint_reader() -> Reader:
    """Card and weights; half of the cards are given the weights' checksum, so that these are read and not refused before."""
    from stylefx.effects.chain import EffectChain
    from stylefx.effects.registry import make_effect
    from stylefx.models.checkpoint import load_model, save_model
    from stylefx.models.style_transfer import build_model

    folder = Path(tempfile.mkdtemp(prefix="stylefx-fuzz-"))
    chain = EffectChain.of(make_effect("gain")).to_dict()
    encoder = {"name": "averages", "num_bands": 8}
    try:
        model = build_model({"encoder": encoder, "chain": chain, "sample_rate": 24000.0, "controller": {"hidden": 8}})
    except StylefxError:
        model = build_model({"encoder": {"name": "averages"}, "chain": chain, "sample_rate": 24000.0})
    save_model(model, folder / "good")
    card, weights = (folder / "good.json").read_bytes(), (folder / "good.safetensors").read_bytes()
    documents = [json.loads(card)]
    mark = b"\n=====\n"

    def read(data: bytes) -> None:
        text, _, tensors = data.partition(mark)
        if zlib.crc32(text) % 2:  # a keyed half
            try:
                known = json.loads(text)
                known["sha256"] = hashlib.sha256(tensors).hexdigest()
                text = json.dumps(known).encode()
            except (ValueError, TypeError, RecursionError):
                pass
        (folder / "m.json").write_bytes(text)
        (folder / "m.safetensors").write_bytes(tensors)
        load_model(folder / "m")

    def dump(value: Any) -> bytes:
        return json.dumps(value).encode() + mark + weights

    head = weights[: 8 + int.from_bytes(weights[:8], "little") + 64]  # mutations of megabytes of numbers find nothing
    return Reader([card + mark + weights, card + mark + head, card + mark + head + b"\0"], read, dump, documents)


READERS = {"tar": tar_reader, "manifest": manifest_reader, "settings": settings_reader, "checkpoint": checkpoint_reader}
