"""An S3 server on loopback, for tests of object stores: moto's, with faults when asked for.

with s3_server() as s3:
    url = s3.bucket("orders")     # s3://key:secret@orders?endpoint_override=…
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

import pytest

KEY, SECRET = "AKIALOOPBACK", "s3cr/t+of=tests"  # moto takes any

App = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class S3:
    """A running server; *fault* may say with which status to answer a request instead."""

    def __init__(self, app: App) -> None:
        self.port = 0
        self.fault: Callable[[str, str], int | None] | None = None
        self._app = app

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        """Answer as moto does, or with a fault; a WSGI application."""
        asked = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        status = self.fault(*asked) if self.fault else None
        if status is None:
            return self._app(environ, start_response)
        environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        start_response(f"{status} Fault", [("Content-Length", "0")])
        return [b""]

    def url(self, place: str, **more: str) -> str:
        """Return the URL of a bucket, or of a prefix in one."""
        options = {
            "endpoint_override": f"127.0.0.1:{self.port}",
            "scheme": "http",
            "region": "us-east-1",
            "settle": "0.5",
            **more,
        }
        query = "&".join(f"{name}={quote(value, safe='')}" for name, value in options.items())
        return f"s3://{KEY}:{quote(SECRET, safe='')}@{place}?{query}"

    def system(self) -> Any:
        """Return a file system of pyarrow's own, to look at what is there."""
        fs = pytest.importorskip("pyarrow.fs")
        return fs.S3FileSystem(
            access_key=KEY,
            secret_key=SECRET,
            endpoint_override=f"127.0.0.1:{self.port}",
            scheme="http",
            region="us-east-1",
            allow_bucket_creation=True,
        )

    def bucket(self, name: str) -> str:
        """Make a bucket, and return its URL."""
        self.system().create_dir(name)
        return self.url(name)


@contextmanager
def s3_server() -> Iterator[S3]:
    """Run a server while the block runs; skip the test where there is no moto."""
    moto = pytest.importorskip(
        "moto.moto_server.werkzeug_app", reason="moto[server] is missing"
    )
    serving = pytest.importorskip("werkzeug.serving", reason="moto[server] is missing")

    class Quiet(moto.MotoRequestHandler):  # type: ignore[misc,name-defined] # moto has no types
        def log_request(self, *_: object, **__: object) -> None:
            """Say nothing."""

    s3 = S3(moto.DomainDispatcherApplication(moto.create_backend_app))
    server = serving.make_server("127.0.0.1", 0, s3, threaded=True, request_handler=Quiet)
    s3.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield s3
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
