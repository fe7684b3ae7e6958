"""A server for one person on one computer: loopback only, no request leaves it, and none from another page is answered."""

from __future__ import annotations

import mimetypes
import webbrowser
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

from stylefx.errors import StylefxError, UserError

HOST = "127.0.0.1"
_NAMES = (HOST, "localhost")
#: (media type, bytes) of a path without its slash and the query; None where there is nothing
Answer = Callable[[str, dict[str, str]], "tuple[str, bytes] | None"]


_TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".flac": "audio/flac",
    ".json": "application/json",
}


def media_type(name: str) -> str:
    """By the ending; what a machine's own table says of these is not to be relied on."""
    own = _TYPES.get(name[name.rfind(".") :])
    return own or mimetypes.guess_type(name)[0] or "application/octet-stream"


def files_answer(files: dict[str, bytes]) -> Answer:
    """Files by name; the empty path is index.html."""

    def answer(path: str, query: dict[str, str]) -> tuple[str, bytes] | None:
        name = path or "index.html"
        return (media_type(name), files[name]) if name in files else None

    return answer


class _Handler(BaseHTTPRequestHandler):
    """Answers GET and HEAD by ``reply``, which ``make_server`` sets."""

    protocol_version = "HTTP/1.1"
    reply: Answer

    def do_GET(self) -> None:
        self._send(*self._answered())

    def do_HEAD(self) -> None:
        self.do_GET()

    def _answered(self) -> tuple[int, str, bytes]:
        # A page of another site could reach this port under a name of its own; browsers send that name as Host.
        if self.headers.get("Host", "").rpartition(":")[0] not in _NAMES:
            return HTTPStatus.FORBIDDEN, "text/plain", b"this server answers to 127.0.0.1 only"
        parts = urlsplit(self.path)
        try:
            found = self.reply(unquote(parts.path.lstrip("/")), {k: v[-1] for k, v in parse_qs(parts.query).items()})
        except StylefxError as error:
            return HTTPStatus.BAD_REQUEST, "text/plain; charset=utf-8", str(error).encode()
        if found is None:
            return HTTPStatus.NOT_FOUND, "text/plain", b"there is no such page"
        return HTTPStatus.OK, *found

    def _send(self, status: int, kind: str, data: bytes) -> None:
        start, stop = _range(self.headers.get("Range"), len(data)) if status == HTTPStatus.OK else (0, len(data))
        partial = (start, stop) != (0, len(data))
        self.send_response(HTTPStatus.PARTIAL_CONTENT if partial else status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(stop - start))
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        if partial:
            self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{len(data)}")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data[start:stop])

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the terminal shows the address only."""


def make_server(answer: Answer, port: int = 0) -> ThreadingHTTPServer:
    """A server on 127.0.0.1; port 0 takes a free one. UserError where the port is taken."""
    handler = type("Handler", (_Handler,), {"reply": staticmethod(answer)})
    try:
        return ThreadingHTTPServer((HOST, port), handler)
    except OSError as error:
        raise UserError(f"port {port} of {HOST} cannot be opened ({error.strerror}); give another --port, or none") from error


def _range(header: str | None, size: int) -> tuple[int, int]:
    """``bytes=a-b`` -> (a, b + 1), as players ask when they seek; all where it is none of that."""
    first, _, last = (header or "").removeprefix("bytes=").partition("-")
    if not header or not first.isdigit() or int(first) >= size:
        return 0, size
    return int(first), min(int(last) + 1, size) if last.isdigit() else size


def serve(server: ThreadingHTTPServer, browser: bool, tell: Callable[[str], None]) -> None:
    """Tell the address and serve until Ctrl-C; ``browser`` opens the page."""
    address = f"http://{HOST}:{server.server_address[1]}/"
    tell(address)
    if browser:
        webbrowser.open(address)
    try:
        server.serve_forever()
    finally:
        server.server_close()
