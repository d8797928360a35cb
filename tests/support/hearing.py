"""What the guard of `leaks` listens at: where texts leave the code that is tested.

The rest of Python's own seams, log records and errors, are in `leaks`.
"""

from __future__ import annotations

import inspect
import subprocess
from asyncio.subprocess import SubprocessStreamProtocol
from collections.abc import Callable, Iterator
from functools import partial, wraps
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from rich.console import Console

from vendororders_async.jobs.acknowledging import Acknowledging
from vendororders_async.jobs.summary import Tally
from vendororders_async.jobs.sync import Sync

OUTPUT, ERRORS, FRAME, HEALTH, REPR = (
    "standard output",
    "standard error",
    "a progress frame",
    "a health answer",
    "a repr",
)

Note = Callable[[str, object], None]

# What `sync --health` answers; a path of Amazon's is none of them
_HEALTH_PATHS = {"/", "/live", "/ready", "/health"}


def hear(owner: Any, name: str, tell: Callable[..., None]) -> None:
    """Have *tell* told what method *name* of *owner* returned, and all it was given."""
    method = getattr(owner, name)

    @wraps(method)
    def heard(*arguments: Any, **named: Any) -> Any:
        said = method(*arguments, **named)
        tell(said, *arguments)
        return said

    @wraps(method)
    async def heard_later(*arguments: Any, **named: Any) -> Any:
        said = await method(*arguments, **named)
        tell(said, *arguments)
        return said

    setattr(owner, name, heard_later if inspect.iscoroutinefunction(method) else heard)


class _Heard:
    """A file that tells what is read from it and written to it."""

    def __init__(self, file: Any, tell: Callable[[object], None]) -> None:
        self._file, self._tell = file, tell

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._file, name)
        return self._telling(found) if name.startswith("read") and callable(found) else found

    def _telling(self, read: Callable[..., Any]) -> Callable[..., Any]:
        def heard(*arguments: Any) -> Any:
            said = read(*arguments)
            for one in said if isinstance(said, list) else [said]:
                self._tell(one)
            return said

        return heard

    def __iter__(self) -> Iterator[Any]:
        for line in self._file:
            self._tell(line)
            yield line

    def write(self, text: Any) -> Any:
        self._tell(text)
        return self._file.write(text)


def listen(
    note: Note, note_part: Callable[[str, object, bytes], None], made: Callable[[Path], None]
) -> None:
    """Tell *note* of each text, *note_part* of pieces of one, *made* of each folder."""
    _listen_to_children(note, note_part)
    _listen_to_consoles(note)

    def answered(body: object, answer: aiohttp.ClientResponse) -> None:
        if answer.url.path in _HEALTH_PATHS:
            note(HEALTH, body)

    def returned(result: object, *_: object) -> None:
        note(REPR, repr(result))

    hear(aiohttp.ClientResponse, "read", answered)
    hear(Tally, "summary", returned)  # of every job that has one
    hear(Sync, "standing", returned)
    hear(Acknowledging, "outcomes", returned)
    hear(pytest.TempPathFactory, "mktemp", lambda folder, *_: made(folder))


def _listen_to_children(note: Note, note_part: Callable[[str, object, bytes], None]) -> None:
    def born(_: object, child: Any, *__: object) -> None:
        for name, where in (("stdout", OUTPUT), ("stderr", ERRORS)):
            pipe = getattr(child, name)
            if pipe is not None:
                setattr(child, name, _Heard(pipe, partial(note, where)))

    def communicated(said: tuple[object, object], *_: object) -> None:
        for where, text in zip((OUTPUT, ERRORS), said, strict=True):
            note(where, text)

    def received(_: object, protocol: object, number: int, data: bytes) -> None:
        note_part(ERRORS if number == 2 else OUTPUT, (id(protocol), number), data)

    hear(subprocess.Popen, "__init__", born)
    hear(subprocess.Popen, "communicate", communicated)
    hear(SubprocessStreamProtocol, "pipe_data_received", received)


def _listen_to_consoles(note: Note) -> None:
    found: Any = Console.file

    def file(console: Console) -> Any:
        return _Heard(found.fget(console), lambda text: note(FRAME, text))

    Console.file = property(file, found.fset)  # type: ignore[assignment, method-assign] # as it was
