"""The samples of a corpus as one table that can be filtered and sorted, a page at a time."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from stylefx.corpus.reader import Corpus
from stylefx.corpus.schema import STATUS_OK
from stylefx.errors import UserError
from stylefx.nearest import did_you_mean

WORDS = ("split", "source", "group", "label")
NUMBERS = ("pitch_cents", "tempo", "input_lufs", "target_lufs", "input_peak_dbfs", "target_peak_dbfs")
PAGE_ROWS = 25
_MOST_CHOICES = 200  # more groups than that are found by typing


def corpus_rows(corpus: Corpus) -> pa.Table:
    """Every usable sample: key, words, numbers, shard and its row there; columns that a corpus lacks are null."""
    tables = []
    for shard in corpus.shards:
        path = corpus.store.path(f"{shard.name}.parquet", shard.parquet_sha256)
        present = set(pq.read_schema(path).names)
        wanted = [c for c in ("key", *WORDS, *NUMBERS) if c in present and c != "split"]
        table = pq.read_table(path, columns=[*wanted, "status"])
        table = table.filter(pc.equal(table["status"], STATUS_OK))
        columns = {"key": table["key"], "split": pa.array([shard.split] * len(table), pa.string())}
        columns |= {c: _column(table, c, pa.string()) for c in WORDS if c != "split"}
        columns |= {c: _column(table, c, pa.float64()) for c in NUMBERS}
        columns["shard"] = pa.array([shard.name] * len(table), pa.string())
        columns["row"] = pa.array(range(len(table)), pa.int64())
        tables.append(pa.table(columns))
    return pa.concat_tables(tables)


def _column(table: pa.Table, name: str, kind: pa.DataType) -> Any:
    return table[name].cast(kind) if name in table.column_names else pa.nulls(len(table), kind)


def choices(rows: pa.Table) -> dict[str, Any]:
    """What can be filtered by: the values of words where they are few, the ranges of numbers."""
    words = {c: sorted(filter(None, rows[c].unique().to_pylist())) for c in WORDS}
    ranges = {}
    for name in NUMBERS:
        low, high = pc.min_max(rows[name]).as_py().values()
        if low is not None:
            ranges[name] = [low, high]
    return {"words": {c: v for c, v in words.items() if len(v) <= _MOST_CHOICES}, "numbers": ranges, "samples": len(rows)}


def selected(rows: pa.Table, query: dict[str, str]) -> pa.Table:
    """Rows that a query allows: ``split=train``, ``text=...`` inside key or group, ``pitch_cents.min=...``, ``sort=-tempo``.

    UserError for a name that is no column and for a bound that is no number.
    """
    for name, value in query.items():
        column, _, bound = name.partition(".")
        if value == "" or name in ("page", "sort"):
            continue
        if name == "text":
            hit = pc.or_kleene(pc.match_substring(rows["key"], value), pc.match_substring(rows["group"], value))
        elif name in WORDS:
            hit = pc.equal(rows[name], value)
        elif column in NUMBERS and bound in ("min", "max"):
            compare = pc.greater_equal if bound == "min" else pc.less_equal
            hit = compare(rows[column], _number(name, value))
        else:
            raise UserError(f"samples cannot be filtered by {name!r}{did_you_mean(name, (*WORDS, *NUMBERS, 'text'), '')}")
        rows = rows.filter(hit)
    sort = query.get("sort", "")
    if not sort:
        return rows
    name = sort.lstrip("-")
    if name not in ("key", *WORDS, *NUMBERS):
        raise UserError(f"samples cannot be sorted by {name!r}; give key, {', '.join((*WORDS, *NUMBERS))}")
    return rows.sort_by([(name, "descending" if sort.startswith("-") else "ascending")])


def _number(name: str, value: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise UserError(f"{name} is {value!r}; give a number") from None
