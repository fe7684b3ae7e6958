# make demo   build a corpus from real recordings, train on it, transfer a style (AUDIO=folder takes your own recordings)
# make test   the test suite
# Both make the virtual environment .venv themselves; a second call installs nothing.

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
WORKERS ?= 2
AUDIO ?=

.PHONY: demo test lint clean
.DELETE_ON_ERROR:

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PY) -m pip install -q --disable-pip-version-check -c constraints.txt -e .
	touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PY) -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[s3,ffmpeg,pedalboard,eval,dev]'
	touch $@ $(VENV)/.run

demo: $(VENV)/.run
	$(PY) scripts/demo.py --audio "$(AUDIO)"

test: $(VENV)/.dev
	$(PY) -m pytest -n $(WORKERS) --dist loadgroup tests

lint: $(VENV)/.dev
	$(VENV)/bin/ruff check . && $(VENV)/bin/ruff format --check .

clean:
	rm -rf $(VENV) demo .pytest_cache .ruff_cache
