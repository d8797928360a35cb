"""Where changes can go: standard output, a file, a command."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from pathlib import Path

import click

from ..errors import SinkError
from ..sinks.ndjson_files import append, cut_torn_line, sync, write_all
from ..sinks.writer_thread import outlasted
from ..terminals import for_output

STANDARD_OUTPUT, STANDARD_ERROR = 1, 2

# A command has no business with them, and what it starts still less.
SECRETS = frozenset(
    {
        "LWA_CLIENT_SECRET",
        "SP_API_REFRESH_TOKEN",
        "PGPASSWORD",
        "VENDORORDERS_SHARED_LIMITER",  # a URL, which may have a password in it
    }
)

_ENDING = 2.0  # seconds from SIGTERM to SIGKILL
_LAST_WORDS = 1.0  # seconds in which what a command has said is still awaited
_TAIL = 4096  # bytes of it
_OURS = b'{"event":'


class StandardOutput:
    """Writes changes to standard output, past Python's buffer."""

    def __init__(self, descriptor: int = STANDARD_OUTPUT) -> None:
        self._descriptor = descriptor
        self._turn = threading.Lock()

    async def take(self, lines: bytes) -> str | None:
        """Write *lines*; a reader that went away is a `SinkError`."""
        try:
            shown = for_output(lines, self._descriptor)
            await _aside(lambda: write_all(self._descriptor, shown), self._turn)
        except BrokenPipeError:
            raise SinkError("nobody reads standard output any more") from None
        except OSError as error:
            raise SinkError(f"cannot write to standard output: {error.strerror}") from None
        return None


class EventsFile:
    """Adds changes to the end of a file, which may be moved away at any time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._turn = threading.Lock()

    async def take(self, lines: bytes) -> str | None:
        """Write *lines*, safe from a power cut; a line that a crash has torn is cut off."""
        try:
            await _aside(lambda: self._append(lines), self._turn)
        except OSError as error:
            return f"{self._path}: {error.strerror}"
        return None

    def _append(self, lines: bytes) -> None:
        if self._path.exists():
            cut_torn_line(self._path)
        append(self._path, lines)
        sync(self._path)


class Command:
    """Runs a command of the shell for each batch, with its lines on standard input.

    It has taken them when it ends with 0. What it prints goes to standard error. *environ*
    is handed on without our secrets: `SECRETS`, and what *secrets* names by then.
    """

    def __init__(
        self,
        command: str,
        environ: Mapping[str, str] = os.environ,
        *,
        secrets: Callable[[], Collection[str]] = frozenset,
    ) -> None:
        self._command = command
        self._environ = environ
        self._secrets = secrets

    async def take(self, lines: bytes) -> str | None:
        """Run the command; cancelled, end it and all that it has started."""
        starting = asyncio.ensure_future(self._start())
        try:
            transport, child = await outlasted(starting)  # or nobody would know what to end
            given = transport.get_pipe_transport(0)
            assert isinstance(given, asyncio.WriteTransport)  # noqa: S101 - a pipe was asked for
            given.write(lines)  # a batch at most; who does not read it may still end with 0
            given.write_eof()
            await child.exited.wait()
            # something that it started may keep the pipe open
            # (asyncio.wait_for would swallow a cancellation, before Python 3.12)
            with suppress(TimeoutError):
                async with asyncio.timeout(_LAST_WORDS):
                    await child.silent.wait()
            return outcome(transport.get_returncode(), child.last_words)
        except OSError as error:
            return f"the shell could not be started: {error.strerror}"
        finally:
            if starting.exception() is None:
                await _end(*starting.result())

    async def _start(self) -> tuple[asyncio.SubprocessTransport, _Child]:
        hidden = SECRETS.union(self._secrets())
        return await asyncio.get_running_loop().subprocess_exec(
            _Child,
            *("/bin/sh", "-c", self._command),
            stdin=asyncio.subprocess.PIPE,
            stdout=STANDARD_ERROR,
            stderr=asyncio.subprocess.PIPE,
            env={name: value for name, value in self._environ.items() if name not in hidden},
            start_new_session=True,  # Ctrl-C is for us; we end it in order
        )


class _Child(asyncio.SubprocessProtocol):
    """Passes on what a process says, and knows when it has ended.

    That is also when something that it started lives on, with its pipes: asyncio's `Process`
    waits for those (https://github.com/python/cpython/issues/119710).
    """

    def __init__(self) -> None:
        self.exited = asyncio.Event()
        self.silent = asyncio.Event()
        self.last_words = b""

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        del fd
        self.last_words = (self.last_words + data)[-_TAIL:]
        with suppress(OSError):
            click.echo(data.decode(errors="replace"), err=True, nl=False)

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        del exc
        if fd == STANDARD_ERROR:
            self.silent.set()

    def process_exited(self) -> None:
        self.exited.set()


def outcome(code: int | None, said: bytes) -> str | None:
    r"""Return why a command has not taken what it was given; None if it has.

    >>> outcome(4, b"one\nno such table\n"), outcome(-9, b"")
    ('exit code 4: no such table', 'ended by signal 9')
    """
    if code == 0:
        return None
    ended = f"ended by signal {-code}" if code and code < 0 else f"exit code {code}"
    lines = said.decode(errors="replace").split("\n")
    last = next(filter(None, map(str.strip, reversed(lines))), "")
    return f"{ended}: {last}" if last else ended


def problem_of(path: Path) -> str | None:
    """Return why changes cannot be added to the file at *path*; None if they can."""
    if not path.parent.is_dir():
        return f"there is no folder {path.parent}"
    if not path.exists():
        return None
    if not path.is_file():
        return f"{path} is no file"
    try:
        with path.open("rb") as file:
            is_ours = _OURS.startswith(file.read(len(_OURS)))
    except OSError as error:
        return f"{path}: {error.strerror}"
    return None if is_ours else f"{path} holds something else; name another file"


async def _end(transport: asyncio.SubprocessTransport, child: _Child) -> None:
    """End a process that has not ended, and all of its group: at first politely."""
    try:
        if not child.exited.is_set():
            _signal_group(transport.get_pid(), signal.SIGTERM)
            with suppress(TimeoutError):
                async with asyncio.timeout(_ENDING):
                    await child.exited.wait()
    finally:
        if not child.exited.is_set():
            _signal_group(transport.get_pid(), signal.SIGKILL)
            await child.exited.wait()
        given = transport.get_pipe_transport(0)
        if isinstance(given, asyncio.WriteTransport) and given.get_write_buffer_size():
            given.abort()  # close() would wait until what it has started reads the rest
        transport.close()


def _signal_group(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(pid, number)


async def _aside(job: Callable[[], None], turn: threading.Lock) -> None:
    """Do *job* in a thread of its own, which no end of the process waits for.

    A reader that keeps its pipe open and does not read holds up a write for ever; a thread
    of a pool would then be waited for when the loop is closed. A job that was given up keeps
    its *turn* until it is done, or two would write into each other's lines.
    """
    loop = asyncio.get_running_loop()
    done = loop.create_future()

    def settle(error: Exception | None) -> None:
        if done.cancelled():
            return
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(error)

    def work() -> None:
        error: Exception | None = None
        try:
            with turn:
                job()
        except Exception as caught:  # noqa: BLE001 - whoever awaits it gets it
            error = caught
        with suppress(RuntimeError):  # the loop is closed by now
            loop.call_soon_threadsafe(settle, error)

    threading.Thread(target=work, name="vendororders-events", daemon=True).start()
    await done
