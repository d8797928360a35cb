"""The files of an NDJSON store: what they are called, and how they come to be.

.. code-block:: text

    DIR/vendororders.json                    what this folder is
    DIR/<account>/account.json               the account's name; its time is the last write
    DIR/<account>/<api>/<stream>/<after>_<before>_<begun>_<source>.ndjson[.gz|.zst]
    DIR/<account>/<api>/<stream>/loose_<moment>_<random>_<source>.ndjson[.gz|.zst]
    DIR/<account>/<api>/<stream>/.<after>_<before>_<before>_<source>.ndjson.part
    DIR/<account>/<api>/<stream>/error_<source>.txt
    DIR/<account>/<api>/quarantine/<digest>

That a window is finished is said by the name of its file, not by a first line in it: so the
ledger is read without opening anything, and every line of every file is a document. What
is written for a window lies in its hidden file until then; if it is never finished, the
whole lines in there become a loose file, which claims nothing.
"""

from __future__ import annotations

import os
import secrets
import shutil
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from urllib.parse import quote, unquote

import msgspec

from ..clock import format_stored, parse_instant
from ..errors import SinkError
from ..windows import FinishedWindow, Window
from .account_lock import safe_name
from .base import Ledger, StoredOrder
from .compression import Compression, compressing, compression_of
from .damage import LOOSE, DamagedFile
from .reasons import reason_of

SUFFIX = ".ndjson"
PARTIAL = ".part"
ERROR = "error"
ACCOUNT = "account.json"
_MARKER = "vendororders.json"
_FORMAT = 1
NAMED_AGAIN = "delete the file: the next backfill writes it again"
_BLOCK = 65_536
_SETTLED = 60.0  # seconds after which nobody still writes a file of some bytes
_BREAKS = bytes.maketrans(b"\r\n", b"  ")


class Marker(msgspec.Struct, frozen=True):
    """What says that a folder is a store."""

    format: int


class AccountFile(msgspec.Struct, frozen=True):
    """What a folder's account is really called."""

    account: str


class _Line(msgspec.Struct, frozen=True):
    """One line: a document in an envelope."""

    account: str
    api: str
    seen_at: datetime
    document: msgspec.Raw


_LINE = msgspec.json.Decoder(_Line)


def line_of(account: str, api: str, seen_at: datetime, document: bytes) -> bytes:
    r"""Return *document* as one line, its bytes as they came.

        >>> from datetime import UTC, datetime
        >>> line_of("a", "retail", datetime(2026, 1, 1, tzinfo=UTC), b'{"n": 1.10}')[-27:]
        b'Z","document":{"n": 1.10}}\n'

    Only a line break between two tokens becomes a blank; inside a string JSON has none.
    """
    envelope = msgspec.json.encode(
        {"account": account, "api": api, "seen_at": format_stored(seen_at)}
    )
    return b'%s,"document":%s}\n' % (envelope[:-1], document.translate(_BREAKS).strip())


def parse_line(line: bytes) -> tuple[str, str, datetime, bytes]:
    """Return account, API, time and document of *line*.

    Raises:
        msgspec.DecodeError: it is no such line.
    """
    found = _LINE.decode(line)
    return found.account, found.api, found.seen_at, bytes(found.document)


def line_of_order(order: StoredOrder) -> bytes:
    """Return the line of *order*."""
    return line_of(order.account, order.api, order.seen_at, order.document)


def window_name(finished: FinishedWindow, source: str) -> str:
    """Return the name of the file that holds a finished window."""
    window = finished.window
    times = (_compact(one) for one in (window.after, window.before, finished.begun_at))
    return f"{'_'.join(times)}_{safe(source)}{SUFFIX}"


def partial_name(window: Window, source: str) -> str:
    """Return the name of the file that holds a window until it is finished."""
    return f".{window_name(FinishedWindow(window, window.before), source)}{PARTIAL}"


def overlapping(partial: Path, others: Iterable[Path]) -> list[Path]:
    """Return those of *others* that hold a window of the same stream which meets *partial*'s.

    Windows do not, unless one was split: then the first pages of its parts are with the whole.
    """
    own = _window_of(partial)
    return [
        one
        for one in others
        if one != partial
        and one.parent == partial.parent
        and (window := _window_of(one)).after < own.before
        and own.after < window.before
    ]


def _window_of(partial: Path) -> Window:
    _, finished = parse_name(partial.name.removeprefix(".").removesuffix(PARTIAL))
    assert finished is not None  # noqa: S101 - it is named by `partial_name`
    return finished.window


def loose_name(moment: datetime, source: str) -> str:
    """Return a name that no other file has, for documents that belong to no window."""
    return f"{LOOSE}_{_compact(moment)}_{secrets.token_hex(8)}_{safe(source)}{SUFFIX}"


def parse_name(name: str) -> tuple[str, FinishedWindow | None]:
    """Return source and window that a file is named for; no window where it is loose.

    Raises:
        ValueError: no file of ours is called so.
    """
    plain = name.removesuffix(compression_of(Path(name)))
    first, second, third, source = plain.removesuffix(SUFFIX).split("_", 3)
    if first == LOOSE:
        return unquote(source), None
    window = Window(parse_instant(first), parse_instant(second))
    return unquote(source), FinishedWindow(window, parse_instant(third))


def error_name(source: str) -> str:
    """Return the name of the file that says why a stream did not succeed."""
    return f"{ERROR}_{safe(source)}.txt"


def error_source(name: str) -> str:
    """Return the source in what `error_name` returned."""
    return unquote(name.removeprefix(f"{ERROR}_").removesuffix(".txt"))


def safe(text: str) -> str:
    """Return *text* as part of a file name; `urllib.parse.unquote` turns it back."""
    return quote(text, safe="").replace(".", "%2E").replace("~", "%7E")


def _compact(moment: datetime) -> str:
    return format_stored(moment).replace("-", "").replace(":", "")


@contextmanager
def errors_explained(root: object) -> Iterator[None]:
    """Turn what the operating system raises into a `SinkError` in one line."""
    try:
        yield
    except (OSError, sqlite3.Error) as error:  # the latter from the index of a reading
        raise SinkError(f"cannot use {root}: {reason_of(error)}") from error


def make_store(root: Path) -> None:
    """Make *root* a store, if it is not one already.

    Raises:
        SinkError: there is something else in it.
    """
    if not root.parent.is_dir():
        raise SinkError(f"there is no directory {root.parent}; make it first")
    if root.exists() and not root.is_dir():
        raise SinkError(f"{root} is no directory; name another")
    make_folders(root)
    marker = root / _MARKER
    if not marker.exists():
        others = [one for one in root.iterdir() if not one.name.startswith(f".{marker.name}")]
        if others and not marker.exists():  # another run may be making it at this moment
            raise SinkError(f"{root} holds something else; name another directory")
        replace_file(marker, msgspec.json.encode(Marker(_FORMAT)))
    clear_asides(marker)
    check_store(root)


def clear_asides(path: Path) -> None:
    """Remove what runs left that were killed while they wrote *path* by `replace_file`."""
    for aside in path.parent.glob(f".{path.name}.*{PARTIAL}"):
        with suppress(FileNotFoundError):
            if time.time() - aside.stat().st_mtime > _SETTLED:
                aside.unlink()


def check_still_there(root: Path) -> None:
    """Make sure that nobody has taken the store away since it was opened.

    Raises:
        SinkError: somebody has; what is written now would be without what was there.
    """
    if not (root / _MARKER).exists():
        raise SinkError(f"{root} was moved or deleted while in use; put it back")


def check_store(root: Path) -> None:
    """Make sure that *root* is a store that this version can read.

    Raises:
        SinkError: it is not.
    """
    marker = root / _MARKER
    if not root.exists():
        raise SinkError(f"there is no {root}")
    try:
        found = msgspec.json.decode(marker.read_bytes(), type=Marker)
    except (OSError, msgspec.DecodeError):
        raise SinkError(f"{root} is no store of vendororders-async") from None
    if found.format > _FORMAT:
        raise SinkError(
            f"{root} was made by a newer version of vendororders-async; upgrade this one"
        )


def account_folder(root: Path, account: str) -> Path:
    """Return where *account* is kept; the name is safe on any file system."""
    return root / safe_name(account)


def accounts_in(root: Path) -> list[tuple[str, Path]]:
    """Return the accounts of a store and their folders."""
    found = []
    for file in sorted(root.glob(f"*/{ACCOUNT}")):
        try:
            kept = msgspec.json.decode(file.read_bytes(), type=AccountFile)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise DamagedFile(f"{file} is damaged; {NAMED_AGAIN}") from None
        found.append((kept.account, file.parent))
    return sorted(found)


def make_folders(folder: Path) -> None:
    """Make *folder*, and those that it is in, private and so that no power cut takes them."""
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    for one in reversed(missing):
        one.mkdir(mode=0o700, exist_ok=True)
        sync(one.parent)


def append(path: Path, data: bytes) -> None:
    """Add *data* to a file: all of it, or nothing if that fails."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        size = os.fstat(descriptor).st_size
        try:
            write_all(descriptor, data)
        except OSError:
            with suppress(OSError):
                os.ftruncate(descriptor, size)
            raise
    finally:
        os.close(descriptor)


def write_all(descriptor: int, data: bytes) -> None:
    """Write *data*, however little the system takes at a time."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def adopt(partial: Path, now: datetime, compression: Compression = Compression.NONE) -> None:
    """Make what was written for a window that was not finished a loose file.

    Amazon sent it, and another window may have counted on it: an order is asked for once,
    whatever the number of windows that list it.
    """
    source, _ = parse_name(partial.name.removeprefix(".").removesuffix(PARTIAL))
    if cut_torn_line(partial):
        name = loose_name(now, source) + compression
        settle_lines(partial, partial.with_name(name))
    else:
        partial.unlink()


def cut_torn_line(path: Path) -> int:
    """Cut off a last line that was not written to its end; return the size that is left."""
    with path.open("rb+") as file:
        end = file.seek(0, os.SEEK_END)
        while end:
            start = max(0, end - _BLOCK)
            file.seek(start)
            found = file.read(end - start).rfind(b"\n")
            if found >= 0:
                end = start + found + 1
                break
            end = start
        return file.truncate(end)


def settle(partial: Path, path: Path) -> None:
    """Give a file that was written aside its name, once it is safely on the disk."""
    sync(partial)
    partial.replace(path)
    sync(path.parent)


def settle_lines(partial: Path, path: Path) -> None:
    """Do the same with lines, compressed as *path* says; the file keeps its time."""
    compression = compression_of(path)
    if compression is Compression.NONE:
        settle(partial, path)
        return
    aside = path.with_name(f".{path.name}{PARTIAL}")
    aside.unlink(missing_ok=True)
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with (
        os.fdopen(descriptor, "wb") as file,
        partial.open("rb") as lines,
        compressing(file, compression) as compressed,
    ):
        shutil.copyfileobj(lines, compressed)
    times = partial.stat()
    os.utime(aside, ns=(times.st_atime_ns, times.st_mtime_ns))
    settle(aside, path)
    partial.unlink()  # until then it is there twice, which does not matter


def sync(path: Path) -> None:
    """Wait until the disk has what was written to *path*, a file or a directory."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace_file(path: Path, data: bytes) -> None:
    """Put *data* at *path* so that a reader sees all of it or what was there before."""
    partial = path.with_name(f".{path.name}.{os.getpid()}{PARTIAL}")
    partial.unlink(missing_ok=True)
    append(partial, data)
    settle(partial, path)


def ledger_of(account: str, file: Path, source: str) -> Ledger:
    """Return whose *file* is, by the folders it is in."""
    return Ledger(account, unquote(file.parent.parent.name), unquote(file.parent.name), source)


def stream_folder(root: Path, ledger: Ledger) -> Path:
    """Return where the files of a stream are, which `ledger_of` reads."""
    return account_folder(root, ledger.account) / safe(ledger.api) / safe(ledger.stream)


def named_files(folder: Path) -> Iterator[tuple[Path, str, FinishedWindow | None]]:
    """Yield a stream's files of lines, with source and window; one without is loose."""
    found = (file for one in Compression for file in folder.glob(f"*{SUFFIX}{one}"))
    for file in sorted(found):
        try:
            source, finished = parse_name(file.name)
        except ValueError:
            continue  # somebody else's
        yield file, source, finished


def partial_files(folder: Path) -> Iterator[tuple[Path, str, None]]:
    """Yield a stream's files of windows that are not finished, with their source."""
    for file in sorted(folder.glob(f".*{SUFFIX}{PARTIAL}")):
        source, _ = parse_name(file.name.removeprefix(".").removesuffix(PARTIAL))
        yield file, source, None
