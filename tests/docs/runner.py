"""Runs a documented command, or checks what can be checked without running it."""

from __future__ import annotations

import contextlib
import io
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import click

from pipelines.cli.main import cli as pipe
from stylefx.cli import cli as stylefx
from stylefx.command_line import run
from tests.docs.blocks import ROOT, Command
from tests.docs.prepared import run_pipe

GROUPS: dict[str, click.Group] = {"stylefx": stylefx, "stylefx-pipe": pipe}
_FORKS = ("build", "scan", "plan")
_PROGRAMS = ("tar", "cp")
_ELSEWHERE = ("tensorboard", "kubectl", "sbatch", "pre-commit", "git", "cd")


def run_command(command: Command, folder: Path) -> str:
    """What it printed; AssertionError when it fails. The working directory is the folder."""
    program, *arguments = command.words
    assert program in (*GROUPS, *_PROGRAMS), f"tests can't run {command}; mark the block: <!-- not run: why -->"
    if program in _PROGRAMS:
        return subprocess.run(command.words, cwd=folder, check=True, capture_output=True, text=True).stdout
    if program == "stylefx-pipe" and arguments[0] in _FORKS:
        done = run_pipe(folder, *arguments)
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout
    if arguments[0] == "train" and "--resume" not in arguments and "--out" in arguments:
        shutil.rmtree(folder / arguments[arguments.index("--out") + 1], ignore_errors=True)  # a page's command is the first
    if program == "stylefx" and arguments[0] in ("transfer", "render"):
        make_room(folder, arguments[arguments.index("-o") + 1], settings=arguments[0] == "transfer")
        for option in {"--page", "--figure"} & set(arguments):
            (folder / arguments[arguments.index(option) + 1]).unlink(missing_ok=True)
    if arguments[0] in ("manifest", "config", "schema") and "-o" in arguments:
        (folder / arguments[arguments.index("-o") + 1]).unlink(missing_ok=True)
    return _in_process(program, arguments, command)


def make_room(folder: Path, output: str, settings: bool) -> None:
    """A page's command is the first: what other pages wrote under the name of its output is no reason to refuse it."""
    for path in (folder / output, *([(folder / output).with_suffix(".json")] if settings else [])):
        path.unlink(missing_ok=True) if not path.is_dir() else shutil.rmtree(path)


def outputs_of(code: str) -> list[tuple[str, bool]]:
    """(output, whether settings go beside it) of the calls in a Python snippet: the last file that such a line names."""
    found = []
    for line in code.splitlines():
        call = re.search(r"(transfer|render_file)\(", line)
        named = r'out="([^"]+)"' if "stylefx.transfer(" in line else r'"([^"]+\.(?:wav|flac|aiff))"'
        files = re.findall(named, line)
        if call and files:
            found.append((files[-1], call.group(1) == "transfer"))
    return found


def _in_process(program: str, arguments: list[str], command: Command) -> str:
    out, errors, status = io.StringIO(), io.StringIO(), None
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
        try:
            run(GROUPS[program], arguments)
        except SystemExit as end:
            status = end.code
    assert status == 0, f"{command} ends with {status}: {errors.getvalue()}"
    return out.getvalue()


def check_command(command: Command, complete: bool) -> None:
    """That a command which is not run could be: subcommand, options and files exist. ``complete``: with all its arguments."""
    program, *arguments = command.words
    if program in GROUPS:
        _check_click(program, arguments, complete)
    elif command.words[:2] == ("python", "-m"):
        _check_module(command.words[2], arguments[2:])
    elif program == "torchrun":
        at = arguments.index("-m")
        assert arguments[at + 1] == "stylefx.cli", f"{command} starts no module of ours"
        _check_click("stylefx", arguments[at + 2 :], complete)
    elif program == "make":
        targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        assert not {a for a in arguments if "=" not in a} - set(targets), f"{command}: no such target"
    elif program == "pip" or command.words[:2] == ("uv", "pip"):
        _check_extras(arguments)
    elif program == "bash":
        assert (ROOT / arguments[0]).is_file(), f"{command}: no such file"
    else:
        assert program in _ELSEWHERE, f"{command}: unknown program"


def _check_click(program: str, arguments: list[str], complete: bool) -> None:
    group = GROUPS[program]
    name, *rest = arguments
    if name.startswith("-"):
        return
    context = click.Context(group, info_name=program)
    found = group.get_command(context, name)
    assert found is not None, f"{program} has no command {name}"
    if complete:
        found.make_context(name, list(rest), parent=context)
        return
    known = {option for parameter in found.params for option in (*parameter.opts, *parameter.secondary_opts)} | {"--help"}
    unknown = {word.partition("=")[0] for word in rest if re.match(r"--?[a-z]", word)} - known
    assert not unknown, f"{program} {name} has no option {', '.join(unknown)}"


def _check_module(module: str, arguments: list[str]) -> None:
    """It is there, and every option stands in its text."""
    if not module.startswith(("benchmarks.", "tests.")) or module == "benchmarks.NAME":
        return
    path = ROOT / (module.replace(".", "/") + ".py")
    path = path if path.is_file() else path.with_suffix("") / "__main__.py"
    assert path.is_file(), f"there is no {module}"
    missing = {a.partition("=")[0] for a in arguments if a.startswith("--")} - set(re.findall(r"--[a-z-]+", path.read_text()))
    assert not missing, f"{module} has no option {', '.join(missing)}"


def _check_extras(arguments: list[str]) -> None:
    known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for argument in arguments:
        for extras in re.findall(r"^(?:\.|stylefx)\[([a-z0-9,-]+)\]$", argument):
            assert not set(extras.split(",")) - set(known), f"pip install {argument}: no such extra"
