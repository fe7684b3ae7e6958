"""A file and overrides -> Manifest."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipelines.manifest.model import Manifest
from stylefx.config.explain import validate
from stylefx.config.overrides import apply_overrides
from stylefx.config.read import read_yaml
from stylefx.errors import ManifestError, UserError


def load_manifest(path: str | Path, overrides: Sequence[str] = ()) -> Manifest:
    """Read and validate a manifest; ``overrides`` are ``dotted.path=YAML value``. ManifestError names place and near miss."""
    try:
        data, node = read_yaml(path, "a manifest")
        if not isinstance(data, dict):
            raise UserError(f"{path} holds {type(data).__name__}, a manifest is a mapping with name, output, sources")
        applied = apply_overrides(data, overrides)
        return _checked(validate(Manifest, data, str(path), node, applied))
    except UserError as error:
        raise ManifestError(str(error)) from error


def manifest_of(data: Mapping[str, Any], overrides: Sequence[str] = ()) -> Manifest:
    """The same from what such a file would hold."""
    try:
        own = copy.deepcopy(dict(data))
        applied = apply_overrides(own, overrides)
        return _checked(validate(Manifest, own, "the manifest", None, applied))
    except UserError as error:
        raise ManifestError(str(error)) from error


def _checked(manifest: Manifest) -> Manifest:
    manifest.check_plugins()
    return manifest
