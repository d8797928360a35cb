"""A Redis (or Valkey) of a test's own, on a free port, that can be killed and started again."""

from __future__ import annotations

import asyncio
import shutil
import signal
import socket
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

COMMAND = shutil.which("redis-server") or shutil.which("valkey-server")

needs_redis = pytest.mark.skipif(COMMAND is None, reason="needs redis-server or valkey-server")


class RedisServer:
    """Runs inside ``async with``; keeps nothing on disk, so that a restart forgets all."""

    def __init__(self, folder: Path, *, password: str = "") -> None:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port: int = probe.getsockname()[1]
        self._folder = folder
        self._password = password
        self._process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        user = f":{self._password}@" if self._password else ""
        return f"redis://{user}127.0.0.1:{self.port}/0"

    async def start(self) -> None:
        assert COMMAND is not None
        options = {
            "port": str(self.port),
            "bind": "127.0.0.1",
            "save": "",
            "loglevel": "warning",
        }
        if self._password:
            options["requirepass"] = self._password
        arguments = [word for name, value in options.items() for word in (f"--{name}", value)]
        self._process = await asyncio.create_subprocess_exec(
            COMMAND, *arguments, cwd=self._folder, stdout=asyncio.subprocess.DEVNULL
        )
        while not await self._answers():
            assert self._process.returncode is None, "Redis did not start"
            await asyncio.sleep(0.01)

    def hold(self) -> None:
        """Let it answer nobody."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it answer again."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    async def kill(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            await process.wait()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.kill()

    async def _answers(self) -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except ConnectionError:
            return False
        writer.close()
        await writer.wait_closed()
        return True
