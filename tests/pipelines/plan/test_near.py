"""The same audio lies on one side of every split, is kept once where that is asked, and lends itself no reference."""

from __future__ import annotations

import pytest

from pipelines.plan.file import plan_meta
from stylefx.errors import UserError
from stylefx.licences import licence_wanted, plain_licence
from tests.support.planning import collection, manifest, plan, recording

EVEN = {"fractions": {"train": 0.4, "val": 0.3, "test": 0.3}}


def many(near: bool = True) -> list[dict]:
    """Sixty groups; of each even one a recording is near one of the next group's."""
    out = [recording(f"{i:03d}.wav", 4.0, group=f"g{i:02d}") for i in range(60)]
    for i in range(0, 60, 2):
        out[i]["near"] = out[i + 1]["near"] = f"s/{i:03d}.wav" if near else ""
    return out


def split_of(samples) -> dict[str, str]:
    return {s.group: s.split for s in samples}


def test_groups_with_the_same_audio_are_in_one_split(tmp_path):
    _, samples, _ = plan(tmp_path / "a", manifest(split=EVEN), many())
    splits = split_of(samples)
    assert len(splits) == 60
    assert all(splits[f"s/g{i:02d}"] == splits[f"s/g{i + 1:02d}"] for i in range(0, 60, 2))
    _, apart, _ = plan(tmp_path / "b", manifest(split=EVEN), many(near=False))
    splits = split_of(apart)
    assert any(splits[f"s/g{i:02d}"] != splits[f"s/g{i + 1:02d}"] for i in range(0, 60, 2))


def test_one_of_each_cluster_stays(tmp_path):
    recordings = many()
    recordings[1] |= {"seconds": 12.0}
    summary, samples, _ = plan(tmp_path, manifest(split=EVEN, near_duplicates="drop"), recordings)
    assert summary.rejected["near duplicate"] == 30
    used = {part.recording for s in samples for part in s.parts}
    assert "s/001.wav" in used  # the longer one
    assert "s/000.wav" not in used
    assert "s/002.wav" in used  # the first of equals


def test_a_pinned_group_takes_the_same_audio_with_it(tmp_path):
    split = {**EVEN, "test": ["s/g03"]}
    _, samples, _ = plan(tmp_path, manifest(split=split), many())
    assert split_of(samples)["s/g02"] == "test"


def test_of_two_pinned_groups_only_one_side_keeps_the_audio(tmp_path):
    split = {**EVEN, "test": ["s/g03"], "train": ["s/g02"]}
    summary, samples, _ = plan(tmp_path, manifest(split=split), many())
    assert summary.rejected["near duplicate in another split"] == 1
    assert "s/g03" not in split_of(samples)


def test_ignored_means_ignored(tmp_path):
    a = plan(tmp_path / "a", manifest(split=EVEN, near_duplicates="ignore"), many())[1]
    b = plan(tmp_path / "b", manifest(split=EVEN, near_duplicates="ignore"), many(near=False))[1]
    assert a == b


def test_a_reference_is_never_the_same_audio(tmp_path):
    recordings = [recording(f"{i:03d}.wav", 6.0, group=f"g{i:02d}") for i in range(6)]
    for i in range(5):
        recordings[i]["near"] = "s/000.wav"
    _, samples, _ = plan(tmp_path, manifest(reference={"from": "other", "match": "any"}), recordings)
    lent = {(s.group, r.sample.group) for s in samples for r in s.references}
    assert lent
    assert all((a == "s/g05") != (b == "s/g05") for a, b in lent)


def test_a_growing_corpus_moves_no_group_and_tears_no_audio_apart(tmp_path):
    old = [recording(f"{i:03d}.wav", 4.0, group=f"g{i:02d}") for i in range(12)]
    m = manifest(split=EVEN)
    _, before, first = plan(tmp_path / "a", m, old)
    fresh = [recording(f"new{i}.wav", 4.0, group=f"g{i:02d}", near="s/new0.wav") for i in range(12)]
    summary, after, _ = plan(tmp_path / "b", m, old + fresh, generation=1, earlier=[(tmp_path / "a" / "catalog.parquet", first)])
    splits = split_of(before)
    assert all(splits[s.group] == s.split for s in after)
    assert len({s.split for s in after}) == 1
    assert summary.rejected["near duplicate in another split"] == sum(s != splits["s/g00"] for s in splits.values())


def test_the_key_at_its_default_leaves_digests_as_they_were(tmp_path):
    m = manifest()
    assert not {"near_duplicates", "licences"} & set(m.to_dict())
    assert not {"select"} & set(m.to_dict()["sources"][0])
    assert not {"target", "start", "metadata"} & set(m.to_dict()["sources"][0]["columns"])
    assert m.recipe_digest() == manifest(near_duplicates="drop").recipe_digest()


LICENCES = {"CC-BY-4.0": 0, "CC-BY-NC-4.0": 1, "CC0-1.0": 2, "https://creativecommons.org/licenses/by-sa/3.0/": 3, "unknown": 4}


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        (["CC-BY-*", "CC0"], {0, 1, 2, 3}),
        (["CC-BY-*", "!*-NC-*"], {0, 3}),
        (["CC0"], {2}),
        (["cc by 4.0"], {0}),
        (["!unknown"], {0, 1, 2, 3}),
    ],
)
def test_licences_choose_recordings(tmp_path, patterns, expected):
    recordings = [recording(f"{i}.wav", 4.0, group=f"g{i}", licence=name) for name, i in LICENCES.items()]
    summary, samples, _ = plan(tmp_path, manifest(licences=patterns), recordings)
    assert {int(s.group[-1]) for s in samples} == expected
    assert summary.rejected.get("licence not wanted", 0) == 5 - len(expected)
    assert {name for name, i in LICENCES.items() if licence_wanted(name, patterns)} == {
        n for n, i in LICENCES.items() if i in expected
    }


def test_creative_commons_is_known_by_its_addresses():
    assert plain_licence("https://creativecommons.org/publicdomain/zero/1.0/") == "cc0-1.0"
    assert plain_licence("http://creativecommons.org/licenses/by-nc-sa/2.5/de/") == "cc-by-nc-sa-2.5"
    assert plain_licence("Attribution-NonCommercial-ShareAlike 3.0 International") == "cc-by-nc-sa-3.0"
    assert plain_licence("Attribution-Noncommercial-No Derivative Works 3.0 United States") == "cc-by-nc-nd-3.0"
    assert plain_licence("CC0 1.0 Universal") == "cc0-1.0"
    assert plain_licence("GPL-2.0-only") == "gpl-2.0-only"


def test_recordings_without_a_group_are_counted_named_and_the_cure_is_shown(tmp_path):
    recordings = [*collection(4, (3, 4)), recording("lost.wav", 4.0, group="")]
    summary, _, _ = plan(tmp_path, manifest(), recordings)
    assert "1 recordings have no group, such as lost.wav of source s" in summary.text()
    assert "otherwise: others" in summary.text()
    with pytest.raises(UserError, match=r"came out empty.*1 recordings have no group, such as lost\.wav of source s.*otherwise"):
        plan(tmp_path / "b", manifest(), [recording("lost.wav", 4.0, group="")])


def test_metadata_reaches_the_samples_as_far_as_their_recordings_agree(tmp_path):
    recordings = [recording(f"{i}.wav", 0.4, group="g", metadata={"language": "de", "text": str(i)}) for i in range(40)]
    recordings.append(recording("long.wav", 6.0, group="h", metadata={"language": "fr", "text": "x"}))
    _, samples, target = plan(tmp_path, manifest(), recordings)
    joined = [s for s in samples if len(s.parts) > 1]
    assert joined
    assert {tuple(s.metadata.items()) for s in joined} == {(("language", "de"),)}
    assert next(s for s in samples if s.group == "s/h").metadata == {"language": "fr", "text": "x"}
    assert plan_meta(target)["generation"] == 0


def test_samples_are_balanced_by_a_column(tmp_path):
    recordings = [recording(f"d{i}.wav", 8.0, group=f"g{i}", metadata={"language": "de"}) for i in range(10)]
    recordings += [recording(f"f{i}.wav", 8.0, group=f"h{i}", metadata={"language": "fr"}) for i in range(2)]
    _, samples, _ = plan(tmp_path, manifest(selection={"balance": {"by": "language"}}), recordings)
    count = {lang: sum(s.metadata["language"] == lang for s in samples) for lang in ("de", "fr")}
    assert count["de"] == count["fr"] > 0
    with pytest.raises(UserError, match=r"balance.by is 'langauge', which no recording has; did you mean 'language'"):
        plan(tmp_path / "b", manifest(selection={"balance": {"by": "langauge"}}), recordings)
