# make demo   build a corpus from real recordings, train on it, transfer a style (AUDIO=folder takes your own recordings)
# make test   the test suite
# make check  lint, types and the quick tests: two minutes, before every commit
# make docs   the documentation as pages, into site/; a dead link fails
# make proof  what takes long: kills, fuzzing, exactness, foreign readers; writes docs/measurements/proof.md
# All of them make the virtual environment .venv; a second call installs nothing.
# make test PYTHON=python3.13   the same with another interpreter, in an environment of its own (.venv-3.13)

PYTHON ?= python3
ifeq ($(origin PYTHON),file)
VENV := .venv
else
VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
$(if $(VERSION),,$(error PYTHON=$(PYTHON) is no Python that runs here))
VENV := .venv-$(VERSION)
endif
export NO_MKDOCS_2_WARNING = 1
PY := $(VENV)/bin/python
WORKERS ?= 2
AUDIO ?=

.PHONY: demo test check lint docs proof clean
.DELETE_ON_ERROR:

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PY) -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[all]'
	touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PY) -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[all,s3,ffmpeg,pedalboard,eval,dev]'
	touch $@ $(VENV)/.run

demo: $(VENV)/.run
	$(PY) scripts/demo.py --audio "$(AUDIO)"

test: $(VENV)/.dev
	$(PY) -m pytest -n $(WORKERS) --dist loadgroup tests

lint: $(VENV)/.dev
	$(VENV)/bin/ruff check . && $(VENV)/bin/ruff format --check .
	$(PY) -m mypy

check: lint
	$(PY) -m pytest -n $(WORKERS) --dist loadgroup -m "not slow" tests

docs: $(VENV)/.dev
	$(PY) -m mkdocs build --strict

proof: $(VENV)/.dev
	$(PY) -m benchmarks.proof

clean:
	rm -rf .venv .venv-* demo .pytest_cache .ruff_cache
