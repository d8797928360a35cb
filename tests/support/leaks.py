"""A guard rail for every test: secrets are told nowhere, people only where orders belong.

All secrets of tests and of the simulator have one of the beginnings in `SECRETS`, and all
people one of the words in `PEOPLE`. After each test its log records, output, errors, files
and what else `hearing` hears are searched; what is found fails the test that leaked, and is
not shown. What may be told is said at the test:

@pytest.mark.tells("a person", "standard output", because="it prints whole orders")

Heard are: log records with their arguments, ``extra`` and traceback; standard output and
error of the test, and of a child through a pipe; errors of this package, with causes and
notes, also those that are caught; frames and tables of rich, wherever they are written;
what aiohttp reads of a health answer; the reprs of each `Summary` and `Standing` and of
outcomes of acknowledging; every file that is left in a folder of `tmp_path` or
`tmp_path_factory`, once it is new or has changed.

Not heard are: reprs of other objects, unless they are in one of these (`test_secrets` looks
at all that is alive at a job's work); errors of others which nobody logs or chains; files
elsewhere, those gone when the test ends, and what is packed in them; answers that nobody
reads, or reads by other means; a pipe that is read by its number.
"""

from __future__ import annotations

import base64
import logging
import os
import pickle
import re
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote
from weakref import WeakSet

import pytest
from hearing import ERRORS, OUTPUT, listen

from vendororders_async.errors import DecodeError, VendorOrdersError

# Amazon's tokens begin so, and the simulator's with them; the rest is for tests by hand
SECRETS = ("Atza|", "Atzr|", "Atz.sprdt|", "amzn1.oa2-cs.", "s3cret", "s3cr/t", "hunter2")
PEOPLE = ("Canary", "CANARY", "Kanarienweg")
SECRET, PERSON = "a secret", "a person"
RECORD, ERROR, FILE = "a log record", "an error", "a file"

# Where orders belong, by their first bytes: databases and their logs, tables, and what our
# own stores write. https://www.sqlite.org/fileformat.html
_ORDERS = re.compile(
    rb"SQLite format 3\0|\x37\x7f\x06[\x82\x83]|\xd9\xd5\x05\xf9"
    rb"|.{8}DUCK"
    rb"|PAR1"
    rb'|{"account":"[^"]*","api":"[^"]*","seen_at":"[^"]*","document":',
    re.DOTALL,
)
# What tests write themselves: accounts, with their secrets
_ACCOUNTS = "accounts.toml"

_PROPERTY = "texts searched for leaks"
_STANDARD = frozenset(vars(logging.makeLogRecord({})))


def _encoded(word: str) -> Iterator[str]:
    """Yield *word* as it is, as URLs have it, and what is always there of it in base64."""
    yield word
    yield quote(word, safe="")
    for before in range(3):  # bytes of something else, which share their signs with it
        whole = base64.b64encode(b"." * before + word.encode()).decode().rstrip("=")
        whole_signs = (before + len(word)) * 8 // 6
        yield whole[-(-before * 8 // 6) : whole_signs]


_WORDS = {
    SECRET: tuple(dict.fromkeys(form for word in SECRETS for form in _encoded(word))),
    PERSON: PEOPLE,
}
_BYTES = {kind: tuple(word.encode() for word in words) for kind, words in _WORDS.items()}


# Of each secret's forms but base64 a part that is in few other places: files are large
_HINTS = (b"Atz", b"oa2-cs", b"s3cr", b"hunter2")


def kinds_in_file(content: bytes) -> list[str]:
    """Return the same of what may be large, and holds no base64."""
    has_hint = any(hint in content for hint in _HINTS)
    people = [PERSON] if any(word in content for word in _BYTES[PERSON]) else []
    return kinds_in(content) if has_hint else people


def kinds_in(text: str | bytes) -> list[str]:
    """Return of what kind the canaries in *text* are."""
    if isinstance(text, str):
        return [kind for kind, words in _WORDS.items() if any(word in text for word in words)]
    return [kind for kind, words in _BYTES.items() if any(word in text for word in words)]


def told_by(error: BaseException, seen: frozenset[int] = frozenset()) -> Iterator[str]:
    """Yield what *error* tells, and all that a traceback prints with it.

    Lines of source are left out: nothing is in them but what a test has written.
    """
    if id(error) in seen:
        return
    seen |= {id(error)}
    with suppress(AttributeError):  # one that could not be made
        yield f"{error!s} {error!r} {error.args!r} {getattr(error, '__notes__', ())}"
    if error.__cause__ is not None:
        yield from told_by(error.__cause__, seen)
    elif error.__context__ is not None and not error.__suppress_context__:
        yield from told_by(error.__context__, seen)
    if isinstance(error, BaseExceptionGroup):
        for one in error.exceptions:
            yield from told_by(one, seen)


class Guard:
    """Notes what a test tells; `leaks` says what of it was wrong to tell."""

    def __init__(self) -> None:
        self.text_count = 0
        self._texts: list[tuple[str, str | bytes]] = []
        self._parts: dict[object, tuple[str, bytearray]] = {}
        self._records: list[logging.LogRecord] = []
        self._errors: WeakSet[VendorOrdersError] = WeakSet()
        self._outlived: set[int] = set()
        self.is_lasting = False
        self._folders: dict[Path, bool] = {}
        self._seen: dict[Path, tuple[int, int]] = {}

    def note(self, where: str, text: object) -> None:
        """Take in a text; what is none, a process whose output goes elsewhere, is nothing."""
        if isinstance(text, str | bytes) and text:
            self._texts.append((where, text))

    def note_part(self, where: str, source: object, part: bytes) -> None:
        """Take in what comes piece by piece from *source*."""
        self._parts.setdefault(source, (where, bytearray()))[1].extend(part)

    def note_folder(self, folder: Path) -> None:
        """Search *folder* after this test, and after all others if it outlasts this one."""
        self._folders[folder] = self.is_lasting

    def note_record(self, record: logging.LogRecord) -> None:
        """Take in a log record; its ``extra`` is not there yet."""
        with suppress(TypeError, ValueError):  # logging says so itself
            self.note(RECORD, f"{record.getMessage()} {record.args!r}")
        if record.exc_info and record.exc_info[1]:
            for text in told_by(record.exc_info[1]):
                self.note(RECORD, text)
        self._records.append(record)

    def note_birth(self, error: VendorOrdersError) -> None:
        """Take in an error before it is complete."""
        self._errors.add(error)

    def note_death(self, error: VendorOrdersError) -> None:
        """Take in an error that nobody holds any more, unless it was when its test ended."""
        if id(error) in self._outlived:
            self._outlived.remove(id(error))
        else:
            self.note_error(error)

    def note_error(self, error: VendorOrdersError) -> None:
        """Take in all that *error* tells; its body is what came, and may hold people."""
        for text in told_by(error):
            self.note(ERROR, text)
        try:
            state = (
                vars(error) | {"body": b""} if isinstance(error, DecodeError) else vars(error)
            )
            self.note(ERROR, pickle.dumps((error.args, state)))
        except Exception:  # noqa: BLE001 - other tests find out what does not pickle
            self.note(ERROR, repr(vars(error)))

    def note_files(self) -> None:
        """Take in the files of all folders, of those that last what is new in them."""
        for folder, is_lasting in list(self._folders.items()):
            seen = self._seen if is_lasting else {}
            for inner, _, names in os.walk(folder):
                for path in (Path(inner, name) for name in sorted(names)):
                    with suppress(OSError):  # it is gone, or a socket
                        if path.is_file() and path.name != _ACCOUNTS and _is_new(path, seen):
                            self.note(f"{FILE} {path.relative_to(folder)}", path.read_bytes())
            if not is_lasting:
                del self._folders[folder]

    def leaks(self) -> Iterator[tuple[str, str]]:
        """Yield of which kind something was told and where, and forget all of it."""
        for error in list(self._errors):
            self.note_error(error)
            self._outlived.add(id(error))
        for record in self._records:
            more = {key: one for key, one in vars(record).items() if key not in _STANDARD}
            self.note(RECORD, repr(more) if more else "")
        texts, self._texts = self._texts, []
        texts += [(where, bytes(parts)) for where, parts in self._parts.values()]
        self._parts.clear()
        self._records.clear()
        self._errors.clear()
        self.text_count = len(texts)
        for where, text in texts:
            is_file = where.startswith(FILE)
            found = (
                kinds_in_file(text) if is_file and isinstance(text, bytes) else kinds_in(text)
            )
            for kind in found:
                if not (kind == PERSON and where.startswith(FILE) and _has_orders(text)):
                    yield kind, where


def _is_new(path: Path, seen: dict[Path, tuple[int, int]]) -> bool:
    found = path.stat()
    before, seen[path] = seen.get(path), (found.st_mtime_ns, found.st_size)
    return before != seen[path]


def _has_orders(content: str | bytes) -> bool:
    return isinstance(content, bytes) and _ORDERS.match(content) is not None


guard = Guard()


def _watch() -> None:
    """Have the interpreter's own seams tell the guard what happens."""
    make = logging.getLogRecordFactory()

    def made(*arguments: Any, **named: Any) -> logging.LogRecord:
        record = make(*arguments, **named)
        guard.note_record(record)
        return record

    logging.setLogRecordFactory(made)

    def born(
        cls: type[VendorOrdersError], *arguments: object, **_: object
    ) -> VendorOrdersError:
        error: VendorOrdersError = Exception.__new__(cls, *arguments)
        guard.note_birth(error)
        return error

    def died(error: VendorOrdersError) -> None:
        guard.note_death(error)

    # An error that is caught is gone before its test ends. To hold it would keep alive
    # whatever its frames have open.
    VendorOrdersError.__new__ = born  # type: ignore[method-assign, assignment] # it has none
    VendorOrdersError.__del__ = died  # type: ignore[attr-defined] # nor this

    listen(guard.note, guard.note_part, guard.note_folder)


class _Told:
    """What was searched and found in all processes, for the last lines of a run."""

    def __init__(self) -> None:
        self.text_count = 0
        self.seconds = 0.0

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "teardown":
            for name, value in report.user_properties:
                if name == _PROPERTY:
                    self.text_count += value[0]  # type: ignore[index] # as it was put there
                    self.seconds += value[1]  # type: ignore[index] # the same

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        words = f"{self.text_count:,} texts searched for leaks in {self.seconds:.1f} s"
        terminalreporter.write_line(words)


def pytest_configure(config: pytest.Config) -> None:
    """Begin to watch."""
    line = 'tells(kind, where, because): the test tells "a person" or "a secret" rightly'
    config.addinivalue_line("markers", line)
    _watch()
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Told(), "told")


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[Any]) -> Generator[None, Any, Any]:
    """Listen to what a test reads of its own output, and know which folders outlast it."""
    was_lasting, guard.is_lasting = guard.is_lasting, fixturedef.scope != "function"
    try:
        result: Any = yield
    finally:
        guard.is_lasting = was_lasting
    if fixturedef.argname.startswith(("capsys", "capfd")):
        read: Callable[[], Any] = result.readouterr

        def heard() -> Any:
            said = read()
            guard.note(OUTPUT, said.out)
            guard.note(ERRORS, said.err)
            return said

        result.readouterr = heard
    return result


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, Any, Any]:
    """Listen to what nobody has read."""
    report: Any = yield
    for name, text in report.sections:
        # a report repeats what those before it had
        if report.when != "teardown" and name in {
            f"Captured {one} {report.when}" for one in ("stdout", "stderr")
        }:
            guard.note(OUTPUT if "stdout" in name else ERRORS, text)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, Any, Any]:
    """Fail a test that has told what it should not, once all of it is there."""
    result = yield
    began_at = time.perf_counter()
    guard.note_files()
    allowed = {one.args for one in item.iter_markers("tells")}
    found = [
        f"{kind} in {where}"
        for kind, where in dict.fromkeys(guard.leaks())
        if (kind, where) not in allowed
        and not (where.startswith(FILE) and (kind, FILE) in allowed)
    ]
    seconds = time.perf_counter() - began_at
    item.user_properties.append((_PROPERTY, (guard.text_count, seconds)))
    if found:
        pytest.fail(
            f"the test tells {', '.join(found)} (tests/support/leaks.py)", pytrace=False
        )
    return result
