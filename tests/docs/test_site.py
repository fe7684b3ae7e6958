"""The documentation builds without a warning, and the links of the files at the root lead somewhere."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.docs.blocks import ROOT, pages

_LINK = re.compile(r"\]\((?!https?://|mailto:|#)([^)\s#]+)")
AT_ROOT = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md")]


@pytest.mark.parametrize("page", AT_ROOT, ids=[page.name for page in AT_ROOT])
def test_links_of_the_root_lead_somewhere(page):
    missing = [target for target in _LINK.findall(page.read_text(encoding="utf-8")) if not (ROOT / target).exists()]
    assert missing == []


def test_the_readme_can_be_read_in_one_go():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150


def test_one_version_is_named_everywhere():
    named = {
        re.search(pattern, (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE)[1]
        for name, pattern in (
            ("pyproject.toml", r'^version = "(.+)"'),
            ("stylefx/__init__.py", r'__version__ = "(.+)"'),
            ("CITATION.cff", r"^version: (\S+)"),
        )
    }
    assert len(named) == 1


def test_no_page_is_left_out_of_the_navigation():
    nav = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    names = [str(p.relative_to(ROOT / "docs")) for p in pages() if (ROOT / "docs") in p.parents]
    assert [name for name in names if f" {name}\n" not in nav] == []


def test_the_site_builds_strictly(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    commands = (tmp_path / "site/reference/commands/index.html").read_text(encoding="utf-8")
    assert commands.count("--dry-run") >= 2
    assert "Sentinel" not in commands
