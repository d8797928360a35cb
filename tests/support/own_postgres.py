"""A PostgreSQL server of a test's own, to be stopped as the test likes."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

PASSWORD = "s3cr/t@:?#"
_QUOTED = "s3cr%2Ft%40%3A%3F%23"


class OwnPostgres:
    """A server with one user, ``owner``, who has the password `PASSWORD`."""

    def __init__(self, programs: Path, folder: Path, user: str | None) -> None:
        self._programs = programs
        self._folder = folder
        self._user = user
        with socket.create_server(("127.0.0.1", 0)) as found:
            self.port: int = found.getsockname()[1]

    def url(self, database: str = "postgres", *, user: str = f"owner:{_QUOTED}") -> str:
        """Return the URL of *database*."""
        return f"postgres://{user}@127.0.0.1:{self.port}/{database}"

    def make(self) -> None:
        """Make its files."""
        password = self._folder / "password"
        password.write_text(PASSWORD)
        if self._user is not None:
            for one in (self._folder, password):
                shutil.chown(one, self._user)
        self._run(
            "initdb",
            "--auth=scram-sha-256",
            "--username=owner",
            f"--pwfile={password}",
            "--encoding=UTF8",
            "--no-locale",
            "--no-sync",
        )

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = f"-p {self.port} -k {self._folder} -h 127.0.0.1 -F"
        self._run("pg_ctl", "start", "-w", "-o", options, "-l", str(self._folder / "log"))

    def stop(self, mode: str = "immediate") -> None:
        """Stop it as a crash does: whoever is connected is cut off, nothing is cleaned up."""
        self._run("pg_ctl", "stop", "-w", "-m", mode)

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [self._programs / program, "-D", self._folder / "data", *arguments],
            user=self._user,
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,  # the server would keep a pipe open
            stderr=subprocess.DEVNULL,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, f"{program} {arguments} failed"


def can_start() -> bool:
    """Say whether there are the programs to start a server with, and a user to run them."""
    return _programs() is not None


@contextmanager
def own_postgres() -> Iterator[OwnPostgres]:
    """Make a server and start it; skip where its programs are not installed."""
    found = _programs()
    if found is None:
        pytest.skip("there is no PostgreSQL server to start")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        server = OwnPostgres(found[0], Path(folder), found[1])
        server.make()
        server.start()
        try:
            yield server
        finally:
            server.stop()


def _programs() -> tuple[Path, str | None] | None:
    places = [Path(found).resolve().parent for found in [shutil.which("pg_ctl")] if found]
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    programs = next((one for one in places if (one / "pg_ctl").exists()), None)
    user = "postgres" if os.getuid() == 0 else None  # the server refuses to run as root
    if programs is None or (user and user not in {one.pw_name for one in pwd.getpwall()}):
        return None
    return programs, user
