"""A data set on a Hugging Face hub: commits of some shards each, the index in the last one."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Any

from pipelines.publish.base import Destination
from pipelines.publish.pieces import Piece, Shipment
from stylefx.errors import IncompleteError, UserError, first_line
from stylefx.files.address import redact, safe_uri
from stylefx.models.hub import endpoint

_ADDRESS = re.compile(r"hf://(?:datasets/)?(?P<repo>[\w.-]+/[\w.-]+?)(?:@(?P<revision>[\w./-]+?))?/?")


class HubTarget(Destination):
    """Token and endpoint come from the environment (HF_TOKEN, HF_ENDPOINT). What was uploaded before is known by its digest, also
    where the commit did not come to pass."""

    batch = 16

    def __init__(self, address: str):
        try:
            from huggingface_hub import HfApi
        except ModuleNotFoundError as error:
            raise UserError(
                f"{address} needs the package huggingface_hub; install it with: pip install 'stylefx[hub]'"
            ) from error
        match = _ADDRESS.fullmatch(address)
        if not match:
            raise UserError(
                f"{safe_uri(address)} is no data set; give hf://datasets/OWNER/NAME or hf://datasets/OWNER/NAME@BRANCH"
            )
        self._repo, self._revision = match["repo"], match["revision"] or "main"
        self.where, self._api = f"hf://datasets/{self._repo}@{self._revision}", HfApi(endpoint=endpoint())
        self._listed: dict[str, Any] | None = None

    def _asked(self, what: str, method: str, **options: Any) -> Any:
        from huggingface_hub.errors import HfHubHTTPError

        try:
            return getattr(self._api, method)(repo_id=self._repo, repo_type="dataset", **options)
        except (HfHubHTTPError, OSError) as error:
            status = getattr(getattr(error, "response", None), "status_code", None)
            sentence = f"cannot {what} {self.where}: {redact(first_line(error))}"
            if status in (401, 403):
                raise UserError(f"{sentence}; set HF_TOKEN to a token that may write there") from error
            raise IncompleteError(f"{sentence}; run the same command again, it goes on from here") from error

    def _files(self) -> dict[str, Any]:
        """Name -> what the hub says of the file."""
        if self._listed is None:
            self._asked("make", "create_repo", exist_ok=True)
            tree = self._asked("list", "list_repo_tree", recursive=True, revision=self._revision)
            self._listed = {entry.path: entry for entry in tree if hasattr(entry, "blob_id")}
        return self._listed

    def read(self, name: str) -> bytes | None:
        if name not in self._files():
            return None
        path = self._asked(f"read {name} of", "hf_hub_download", filename=name, revision=self._revision)
        with open(path, "rb") as file:
            return file.read()

    def held(self, corpus: Shipment) -> set[str]:
        files = self._files()
        return {p.name for p in corpus.pieces if p.name in files and self._same(files[p.name], p, corpus)}

    @staticmethod
    def _same(entry: Any, piece: Piece, corpus: Shipment) -> bool:
        """By the digest that the hub keeps: SHA-256 of large files, git's own of small ones."""
        if entry.size != piece.size:
            return False
        if entry.lfs is not None:
            return bool(entry.lfs.sha256 == (piece.sha256 or hashlib.sha256(corpus.read(piece.name)).hexdigest()))
        blob = hashlib.sha1(b"blob %d\0" % piece.size, usedforsecurity=False)
        blob.update(corpus.read(piece.name))
        return bool(entry.blob_id == blob.hexdigest())

    def put(self, corpus: Shipment, pieces: Sequence[Piece], what: str) -> None:
        from huggingface_hub import CommitOperationAdd

        operations = [CommitOperationAdd(path_in_repo=p.name, path_or_fileobj=corpus.read(p.name)) for p in pieces]
        self._asked("upload to", "create_commit", operations=operations, commit_message=what, revision=self._revision)
