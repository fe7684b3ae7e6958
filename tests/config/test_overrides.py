"""NAME=VALUE on a command line: what it reaches, what it refuses, and that both commands understand it alike."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from pipelines.cli.main import cli as pipe
from stylefx.cli import cli
from stylefx.config.overrides import apply_overrides
from stylefx.errors import UserError

MANIFEST = "name: m\noutput: {out}\nsources:\n  - {{name: s, path: nowhere}}\n  - {{name: t, path: nowhere}}\n"
TRAINING = "steps: 1\ndata:\n  corpora: [a, {path: b}]\n"


def test_values_are_yaml_and_reach_every_depth_and_list_entries():
    data = {"a": 1, "list": [{"x": 1}, 2, [3, 4]], "level": "none"}
    applied = apply_overrides(data, ["a=1e-4", "list.0.x=[1, two]", "list.1=", "list.2.1=5", "level.lufs=-20", "new.deep=true"])
    assert data == {"a": 1e-4, "list": [{"x": [1, "two"]}, None, [3, 5]], "level": {"lufs": -20}, "new": {"deep": True}}
    assert applied == ["a", "list.0.x", "list.1", "list.2.1", "level.lufs", "new.deep"]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("a", "'a' on the command line is not NAME=VALUE"),
        ("=1", "is not NAME=VALUE"),
        ("a..b=1", "is not NAME=VALUE"),
        ("list.3=1", r"list\.3 on the command line: '3' is not one of the 3 entries there \(0 to 2\)"),
        ("list.x=1", "'x' is not one of the 3 entries"),
        ("list.-1=1", "'-1' is not one of the 3 entries"),
        ("a=[1", r"a on the command line line 1, column 3: not valid YAML"),
        ("a={b: 1, b: 2}", "the key 'b' is given twice"),
    ],
)
def test_what_cannot_be_set_is_named_as_it_was_written(override, message):
    with pytest.raises(UserError, match=message):
        apply_overrides({"a": 1, "list": [1, 2, 3]}, [override])


def _run(command: str, file, *arguments: str) -> str:
    group, options = (cli, ["--dry-run"]) if command == "train" else (pipe, [])
    result = CliRunner().invoke(group, [command, str(file), *options, *arguments])
    assert isinstance(result.exception, UserError), result.output
    return str(result.exception)


@pytest.mark.parametrize("command", ["build", "scan", "plan", "train"])
@pytest.mark.parametrize("as_option", [True, False])
def test_set_and_plain_overrides_mean_the_same_in_both_commands(command, as_option, tmp_path):
    """Each reaches a list entry; the mistake in it is the command line's, one in the file the file's."""
    file, entry = tmp_path / "c.yaml", "data.corpora.1.paht=x" if command == "train" else "sources.1.paht=x"
    file.write_text(TRAINING if command == "train" else MANIFEST.format(out=tmp_path / "out"))
    message = _run(command, file, *(["--set", entry] if as_option else [entry]))
    assert message == f"on the command line: unknown key {entry.removesuffix('=x')}; did you mean 'path'?"


def test_a_mistake_in_the_file_keeps_the_files_line_beside_good_overrides(tmp_path):
    file = tmp_path / "c.yaml"
    file.write_text(TRAINING + "loss:\n  l1_wieght: 1\n")
    message = _run("train", file, "data.corpora.0=z", "seed=3")
    assert message == f"{file}: unknown key loss.l1_wieght (line 5); did you mean 'l1_weight'?"


def test_a_mistake_that_file_and_command_line_make_together_names_both(tmp_path):
    file = tmp_path / "c.yaml"
    file.write_text(MANIFEST.format(out=tmp_path / "out") + "split: {fractions: {train: 0.8, val: 0.1, test: 0.1}}\n")
    message = _run("scan", file, "split.fractions.train=0.9")
    assert message.startswith(f"{file} with split.fractions.train from the command line: split.fractions (line 6): the fractions")
