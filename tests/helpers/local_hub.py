"""A stand-in for the Hugging Face Hub on this machine: repositories are folders, answers have the Hub's headers."""

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest


class LocalHub:
    """Serves ``folder/OWNER/NAME/FILE`` as the file of the branch main.

    :param folder: the repositories.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = ""
        # path in the repository of every download, whether or not it was complete
        self.downloads: list[str] = []
        # path in the repository -> how many bytes of the next answer arrive before the connection breaks
        self.cut: dict[str, int] = {}
        # path in the repository -> what the next answer contains instead
        self.once: dict[str, bytes] = {}


@contextmanager
def serving(folder: Path) -> Iterator[LocalHub]:
    """Run the stand-in."""
    hub = LocalHub(folder)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_HEAD(self) -> None:
            self._answer(with_content=False)

        def do_GET(self) -> None:
            self._answer(with_content=True)

        def _answer(self, *, with_content: bool) -> None:
            repository, _, rest = self.path.lstrip("/").partition("/resolve/")
            revision, _, file = rest.partition("/")
            path = hub.folder / repository / file
            if not (hub.folder / repository).is_dir() or not path.is_file() or len(revision) not in (4, 40):
                code = "EntryNotFound" if (hub.folder / repository).is_dir() else "RepoNotFound"
                self._head(404, {"X-Error-Code": code, "Content-Length": "0"})
                return
            content = hub.once.get(file) or path.read_bytes()
            start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")[0])
            headers = {
                "X-Repo-Commit": "a" * 40,
                "ETag": f'"{hashlib.sha256(path.read_bytes()).hexdigest()}"',
                "Content-Length": str(len(content) - start),
                "Accept-Ranges": "bytes",
            }
            if start:
                headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
            self._head(206 if start else 200, headers)
            if not with_content:
                return
            hub.downloads.append(file)
            hub.once.pop(file, None)
            end = start + hub.cut.pop(file, len(content))
            self.wfile.write(content[start:end])
            self.wfile.flush()
            if end < len(content):
                self.close_connection = True

        def _head(self, status: int, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def point_to(hub: LocalHub, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let huggingface_hub, which reads HF_ENDPOINT and HF_HUB_CACHE when it is imported, use the stand-in."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", hub.url)
    template = f"{hub.url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
