"""A server that speaks as much of a model hub's protocol as pushing and pulling needs: small files in commits, tars beside."""

from __future__ import annotations

import base64
import hashlib
import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class _Hub(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    repositories: dict[str, dict[str, bytes]]
    created: list[dict]
    commits: list[tuple[str, list[str]]]  # (repository, what was put or replaced)
    objects: dict[str, bytes]  # large files by their SHA-256
    denied: int  # status of every answer to a commit, 0: accepted

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        name = "/".join(self.path.split("/")[3:5])
        if self.path == "/api/repos/create":
            wanted = json.loads(body)
            self.created.append(wanted)
            name = f"{wanted['organization']}/{wanted['name']}"
            self.repositories.setdefault(name, {})
            self._say({"url": f"http://{self.headers['Host']}/{name}"})
        elif "/preupload/" in self.path:
            self._say({"files": [self._mode(f["path"]) for f in json.loads(body)["files"]]})
        elif self.path.endswith("/info/lfs/objects/batch"):
            self._say({"transfer": "basic", "objects": [self._slot(o) for o in json.loads(body)["objects"]]})
        elif "/commit/" in self.path:
            self._commit(name, [json.loads(line) for line in body.splitlines()])
        else:
            self._say({})  # such as the check of a README's header

    @staticmethod
    def _mode(path: str) -> dict:
        return {"path": path, "uploadMode": "lfs" if path.endswith(".tar") else "regular", "shouldIgnore": False}

    def _slot(self, wanted: dict) -> dict:
        known = {"oid": wanted["oid"], "size": wanted["size"]}
        if wanted["oid"] in self.objects:
            return known
        return known | {"actions": {"upload": {"href": f"http://{self.headers['Host']}/objects/{wanted['oid']}"}}}

    def _commit(self, name: str, lines: list[dict]) -> None:
        if self.denied:
            self._say({"error": "no"}, self.denied)
            return
        files = self.repositories[name]
        for line in lines:
            if line["key"] == "file":
                files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            elif line["key"] == "lfsFile":
                files[line["value"]["path"]] = self.objects[line["value"]["oid"]]
        self.commits.append((name, [line["value"]["path"] for line in lines if line["key"] in ("file", "lfsFile")]))
        self._say({"commitUrl": f"http://{self.headers['Host']}/{name}/commit/{self._head}", "commitOid": self._head})

    @property
    def _head(self) -> str:
        """The name of the last commit."""
        return f"{len(self.commits):040x}"

    def do_PUT(self) -> None:
        data = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.objects[hashlib.sha256(data).hexdigest()] = data
        self._say({})

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path.startswith("/api/datasets/") and "/tree/" in path:
            files = self.repositories["/".join(path.split("/")[3:5])]
            self._say([self._listed(name, data) for name, data in files.items()])
            return
        _, user, name, _, _, *rest = [*path.removeprefix("/datasets").split("/"), "", "", ""]
        data = self.repositories.get(f"{user}/{name}", {}).get("/".join(rest).rstrip("/"))
        if data is None:
            self._say({"error": "Repository not found"}, 404, {"X-Error-Code": "RepoNotFound"})
            return
        self._say(data, headers={"X-Repo-Commit": self._head, "ETag": f'"{hashlib.sha256(data).hexdigest()}"'})

    def _listed(self, name: str, data: bytes) -> dict:
        """An entry of a tree: git's own digest, and of a large file SHA-256."""
        blob = hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
        entry = {"type": "file", "path": name, "size": len(data), "oid": blob}
        large = {"oid": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 130}
        return entry | ({"lfs": large} if name.endswith(".tar") else {})

    def _say(self, content: object, status: int = 200, headers: dict[str, str] | None = None) -> None:
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for key, value in {"Content-Length": str(len(data)), **(headers or {})}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def log_message(self, *arguments: object) -> None:
        pass


@contextmanager
def hub() -> Iterator[tuple[str, type[_Hub]]]:
    """(address, handler) of a hub; ``handler.repositories`` is what it holds."""
    handler = type("Hub", (_Hub,), {"repositories": {}, "created": [], "commits": [], "objects": {}, "denied": 0})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", handler
        finally:
            server.shutdown()
