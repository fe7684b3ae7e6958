"""One habit for both commands: every command of both programs is walked over."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from pipelines.cli.main import COMMANDS as PIPE_COMMANDS
from pipelines.cli.main import cli as pipe
from stylefx.cli import COMMANDS, cli
from stylefx.command_line.examples import EXAMPLES
from tests.docs.blocks import Command
from tests.docs.runner import check_command

ROOT = Path(__file__).parents[1]
GROUPS = {"stylefx": (cli, COMMANDS), "stylefx-pipe": (pipe, PIPE_COMMANDS)}
EVERY = [(program, name) for program, (_, commands) in GROUPS.items() for name in commands]
#: these print a document, which -o can put into a file
DOCUMENTS = {("stylefx", "config"), ("stylefx-pipe", "manifest"), ("stylefx-pipe", "schema")}
#: these write no file that is named on the command line
WRITE_NOTHING = {
    ("stylefx-pipe", n) for n in ("status", "verify", "compare", "inspect", "sign", "verify-signature", "publish", "overlay")
}


def command_of(program: str, name: str) -> tuple[click.Command, click.Context]:
    group = GROUPS[program][0]
    context = click.Context(group, info_name=program)
    command = group.get_command(context, name)
    return command, click.Context(command, info_name=name, parent=context, **command.context_settings)


@pytest.mark.parametrize(("program", "name"), EVERY, ids=lambda v: v)
def test_every_command_has_the_same_options(program, name):
    command, context = command_of(program, name)
    options = {o: p for p in command.get_params(context) if isinstance(p, click.Option) for o in p.opts}
    assert {"-q", "--quiet", "-v", "--verbose"} <= set(options)
    assert {"-h", "--help"} <= set(command.get_help_option_names(context))  # click caches the option of the first call
    if (program, name) not in WRITE_NOTHING:
        assert options["-o"] is options["--out"]
    if (program, name) not in DOCUMENTS:
        assert options["--json"].is_flag
    assert "--output" not in options or options["--output"] is options["-o"]


@pytest.mark.parametrize(("program", "name"), EVERY, ids=lambda v: v)
def test_every_help_has_examples_that_parse_and_exit_statuses(program, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for place in ("data/voices", "corpora/mine"):  # what the examples name has to be there
        Path(place).mkdir(parents=True)
    command, context = command_of(program, name)
    text = command.get_help(context)
    examples = EXAMPLES[f"{program} {name}"]
    for line in examples:
        assert line in text
        check_command(Command(tuple(shlex.split(line))), complete=True)
    statuses = text.rpartition("Exit status:")[2]
    assert re.findall(r"^  (\d+)", statuses, re.MULTILINE)[:3] == ["0", "1", "2"]
    assert "130, 143" in statuses


def test_every_example_belongs_to_a_command():
    known = set(GROUPS) | {f"{program} {name}" for program, name in EVERY}
    assert set(EXAMPLES) <= known


@pytest.mark.parametrize(("program", "typed", "meant"), [("stylefx", "tranfer", "transfer"), ("stylefx-pipe", "biuld", "build")])
def test_a_mistyped_command_gets_the_near_miss(program, typed, meant):
    result = CliRunner().invoke(GROUPS[program][0], [typed, "x"])
    assert result.exit_code == 2
    assert f"there is no command {typed!r}; did you mean {meant!r}?" in result.output


def run(folder: Path, module: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
        capture_output=True,
        text=True,
        timeout=200,
    )


def test_quiet_prints_nothing_and_verbose_says_what_ran(tmp_path):
    assert run(tmp_path, "pipelines.cli.main", "manifest", "demo", "-o", "m.yaml", "-q").stderr == ""
    loud = run(tmp_path, "pipelines.cli.main", "manifest", "demo", "-o", "n.yaml", "-v")
    assert loud.returncode == 0
    assert re.search(r"\Astylefx-pipe 0\.\S+, Python 3\.", loud.stderr)
    assert re.search(r"ends with 0 after \d", loud.stderr)
    assert (tmp_path / "m.yaml").read_bytes() == (tmp_path / "n.yaml").read_bytes()
    both = run(tmp_path, "pipelines.cli.main", "manifest", "demo", "-qv")
    assert both.returncode == 2
    assert "contradict" in both.stderr


def test_verbose_shows_where_a_mistake_comes_from(tmp_path):
    plain, loud = (run(tmp_path, "pipelines.cli.main", "status", "nowhere", *more) for more in ((), ("-v",)))
    assert plain.returncode == loud.returncode == 2
    assert "Traceback" not in plain.stderr
    assert "Traceback" in loud.stderr


def test_no_file_is_overwritten_in_silence(tmp_path):
    (tmp_path / "m.yaml").write_text("mine")
    done = run(tmp_path, "pipelines.cli.main", "manifest", "demo", "-o", "m.yaml")
    assert done.returncode == 2
    assert "--overwrite" in done.stderr
    assert (tmp_path / "m.yaml").read_text() == "mine"
    assert run(tmp_path, "pipelines.cli.main", "manifest", "demo", "-o", "m.yaml", "--overwrite").returncode == 0
    settings = {"format": "stylefx-settings", "version": 1, "effects": [{"effect": "gain", "settings": {"gain_db": 3}}]}
    (tmp_path / "s.json").write_text(json.dumps(settings))
    (tmp_path / "out.sh").write_text("mine")
    refused = run(tmp_path, "stylefx.cli", "export", "s.json", "--to", "sox", "--output", "out.sh")
    assert refused.returncode == 2
    assert (tmp_path / "out.sh").read_text() == "mine"
    written = run(tmp_path, "stylefx.cli", "export", "s.json", "--to", "sox", "-o", "out.sh", "--overwrite", "--json")
    assert json.loads(written.stdout)["file"] == "out.sh"


@pytest.mark.parametrize(
    ("module", "variable"), [("stylefx.cli", "_STYLEFX_COMPLETE"), ("pipelines.cli.main", "_STYLEFX_PIPE_COMPLETE")]
)
def test_the_shell_completes_commands_and_options(module, variable, tmp_path):
    program = {"stylefx.cli": "stylefx", "pipelines.cli.main": "stylefx-pipe"}[module]
    code = f"import sys; sys.argv[0] = {program!r}; from {module} import main; main()"

    def complete(words: str, index: int) -> str:
        environment = os.environ | {
            "PYTHONPATH": str(ROOT),
            variable: "bash_complete",
            "COMP_WORDS": words,
            "COMP_CWORD": str(index),
        }
        return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=100).stdout

    first = {"stylefx": "tra", "stylefx-pipe": "rep"}[program]
    assert {"stylefx": "plain,transfer", "stylefx-pipe": "plain,report"}[program] in complete(f"{program} {first}", 1)
    name = {"stylefx": "render", "stylefx-pipe": "status"}[program]
    assert "plain,--json" in complete(f"{program} {name} --js", 2)
