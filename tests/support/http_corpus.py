"""A web server without Range requests over a folder, which answers with errors for a while when told to."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path


class _Handler(http.server.SimpleHTTPRequestHandler):
    """Python's own file server: it knows no Range."""

    failing: list[int]
    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        if self.failing:
            self.send_error(self.failing.pop(0))
            return
        super().do_GET()

    def do_HEAD(self) -> None:
        self.send_error(self.failing[0]) if self.failing else super().do_HEAD()

    def log_message(self, *arguments: object) -> None:
        pass


@contextmanager
def served(folder: Path) -> Iterator[tuple[str, type[_Handler]]]:
    """(address, handler): statuses in ``handler.failing`` are the next answers; ``handler.asked`` is what was asked for."""
    handler = type("Handler", (_Handler,), {"failing": [], "asked": []})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", handler
        finally:
            server.shutdown()
