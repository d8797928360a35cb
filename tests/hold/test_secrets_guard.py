"""The guard rail against leaks: each way to tell something is one that it hears."""

from __future__ import annotations

import base64
import os
import re
import subprocess
import sys
from pathlib import Path

import leaks
import pytest
from hold import Record

REPOSITORY = Path(__file__).parents[2]

# Every test passes, and tells what it should not on the way that it is called after
TELLING = """
import asyncio, contextlib, io, logging, subprocess, sys
from datetime import UTC, datetime
from types import SimpleNamespace
import aiohttp
import pytest
from rich.console import Console
from vendororders_async.cli.health import Address, serving_health
from vendororders_async.cli.progress import ProgressReport
from vendororders_async.jobs.acknowledging import Acknowledging
from vendororders_async.jobs.figures import Figures
from vendororders_async.jobs.standing import AccountStanding, Standing
from vendororders_async.jobs.summary import Tally
from vendororders_async.jobs.sync import Sync
from vendororders_async.telemetry import AccountFailed
from vendororders_async.errors import ResponseError, SinkError, TransportError

SECRET, PERSON = "fooAtza{}tail".format("|").replace("foo", ""), "Can" + "ary Ondra"
LOG = logging.getLogger("vendororders_async.test")
CHILD = (sys.executable, "-c", "import sys; print(sys.argv[1])")

@pytest.fixture(scope="module")
def lasting(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lasting")
    (folder / "log").write_text("plain")
    return folder

def told_message():
    LOG.warning("%s", SECRET)

def told_arguments():
    LOG.warning("%(a)s", {"a": 1, "b": SECRET})

def told_extra():
    LOG.warning("said", extra={"account": PERSON})

def told_traceback():
    try:
        raise RuntimeError(SECRET)
    except RuntimeError:
        LOG.exception("it broke")

def told_print():
    print(SECRET)

def told_standard_error():
    print(PERSON, file=sys.stderr)

def told_read_back(capsys):
    print(SECRET)
    assert capsys.readouterr().out

def told_process():
    assert subprocess.run([*CHILD, SECRET], capture_output=True).stdout

@pytest.mark.parametrize("name", ["read", "readline", "readlines", "__iter__"])
def told_pipe(name):
    with subprocess.Popen([*CHILD, SECRET], stdout=subprocess.PIPE, text=True) as process:
        assert list(getattr(process.stdout, name)())

def told_async_process():
    async def job():
        pipe = asyncio.subprocess.PIPE
        command = (sys.executable, "-c", "import sys; sys.exit(sys.argv[1])", SECRET)
        process = await asyncio.create_subprocess_exec(*command, stderr=pipe)
        assert (await process.communicate())[1]
    asyncio.run(job())

def told_async_pipe():
    async def job():
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(*CHILD, SECRET, stdout=pipe)
        assert await process.stdout.readline()
        await process.wait()
    asyncio.run(job())

def told_frame():
    Console(file=io.StringIO(), force_terminal=True).print(SECRET)

@pytest.mark.parametrize("is_terminal", [True, False])
def told_progress(is_terminal):
    console = Console(file=io.StringIO(), force_terminal=is_terminal, width=120)
    ticks = iter(range(0, 1000, 100))
    with ProgressReport([SECRET], console=console, clock=lambda: next(ticks)) as report:
        report.take([Figures(name=SECRET)])

@pytest.mark.parametrize("path", ["/", "/health"])
def told_health_answer(path):
    bad = AccountStanding(account="acme", api="retail_procurement", error=SECRET)
    standing = Standing(began_at=datetime.now(UTC), is_ready=True, accounts=(bad,))
    async def job():
        async with (
            serving_health(Address("127.0.0.1", 0), lambda: standing) as address,
            aiohttp.ClientSession() as session,
            session.get(f"http://{address}{path}") as answer,
        ):
            assert await answer.read()
    asyncio.run(job())

def told_summary():
    tally = Tally(["acme"])
    tally(AccountFailed("acme", SECRET))
    tally.summary(0.0)

def told_standing():
    Sync.standing(SimpleNamespace(_keepers={}, _began_at=SECRET))

def told_outcomes():
    Acknowledging.outcomes(SimpleNamespace(_cases=[SECRET], _outcome=str))

def told_error_that_is_caught():
    with contextlib.suppress(SinkError):
        raise SinkError(PERSON)

def told_error_that_is_kept():
    with pytest.raises(SinkError) as caught:
        raise SinkError(PERSON)

def told_cause():
    with pytest.raises(SinkError):
        try:
            raise ValueError(SECRET)
        except ValueError as error:
            raise SinkError("plain") from error

def told_context():
    with pytest.raises(SinkError):
        try:
            raise ValueError(SECRET)
        except ValueError:
            raise SinkError("plain")

def told_group():
    with pytest.raises(SinkError):
        raise SinkError("plain") from ExceptionGroup("all", [ValueError(SECRET)])

def told_attribute():
    with contextlib.suppress(ResponseError):
        raise ResponseError("plain", request_id=SECRET)

def told_note():
    error = SinkError("plain")
    error.add_note(SECRET)

def told_file(tmp_path):
    (tmp_path / "orders.db").write_text(SECRET)

def told_settings(tmp_path):
    (tmp_path / "more.toml").write_text(SECRET)

@pytest.mark.parametrize(
    "name", ["health", "summary.json", "run.log.json", "report.csv", "my.db", "log.part"]
)
def told_file_of_people(tmp_path, name):
    (tmp_path / name).write_text(PERSON)

def told_folder(tmp_path_factory):
    (tmp_path_factory.mktemp("other") / "log").write_text(PERSON)

def told_child_into_file(tmp_path_factory):
    with (tmp_path_factory.mktemp("child") / "output").open("w") as output:
        subprocess.run([*CHILD, SECRET], stdout=output)

def kept_lasting_so_far(lasting):
    pass

def told_lasting(lasting):
    (lasting / "log").write_text(PERSON)

def kept_lasting_of_another():
    pass

def told_base64():
    import base64
    LOG.warning("Basic %s", base64.b64encode(b"u:" + SECRET.encode()).decode())

def told_quoted():
    from urllib.parse import quote
    print(quote(SECRET))

def kept_orders(tmp_path):
    (tmp_path / "orders").write_text(f"SQLite format 3{chr(0)} {PERSON}")
    line = '{"account":"a","api":"b","seen_at":"c","document":{"name":"%s"}}'
    (tmp_path / "lines").write_text(line % PERSON)

def kept_accounts(tmp_path):
    (tmp_path / "accounts.toml").write_text(SECRET)

def kept_masked():
    with pytest.raises(TransportError):
        raise TransportError(SECRET)
    LOG.warning("%s", TransportError(SECRET))

def kept_suppressed():
    with pytest.raises(SinkError):
        try:
            raise ValueError(SECRET)
        except ValueError:
            raise SinkError("plain") from None

@pytest.mark.tells("a person", "standard output", because="it is allowed")
def kept_allowed():
    print(PERSON)

@pytest.mark.tells("a person", "standard output", because="it allows nothing else")
def told_another_kind():
    print(SECRET)
"""


@pytest.mark.tells("a secret", "a file", because="the tests in it write it on purpose")
@pytest.mark.tells("a person", "a file", because="the same")
def test_the_guard_hears_every_way(tmp_path: Path, figure: Record) -> None:
    """Who tells fails and who keeps does not, also in workers; the secret is not repeated."""
    (tmp_path / "test_telling.py").write_text(TELLING)
    done = subprocess.run(
        [
            *(
                sys.executable,
                "-m",
                "pytest",
                "-c",
                REPOSITORY / "pyproject.toml",
                "-q",
                "-rpE",
            ),
            *("-p", "leaks", "-p", "no:cacheprovider", "-n", "1"),
            *("-o", "python_functions=told_* kept_*"),
            *("--show-capture=no", "--basetemp", tmp_path / "base", "test_telling.py"),
        ],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([*sys.path, leaks.__file__[:-9]])},
        stdout=subprocess.PIPE,
        check=False,
        text=True,
    )
    names, failed = (
        set(re.findall(rf"^{word} \S+::(\S+)", done.stdout, re.MULTILINE))
        for word in ("PASSED", "ERROR")
    )
    deaf = {name for name in names if name.startswith("told")} - failed
    wrong = {name for name in names if name.startswith("kept")} & failed
    figure(
        "Secrets and people",
        "a secret or a person told on purpose: the guard fails the test",
        times=1,
        orders=len(names),
        lost=len(deaf | wrong),
    )

    assert {name.partition("[")[0] for name in names} == set(
        re.findall(r"^def ((?:told|kept)_\w+)", TELLING, re.MULTILINE)
    )
    assert deaf == set()
    assert wrong == set()
    assert "fail" not in done.stdout.splitlines()[-1]
    assert leaks.kinds_in(done.stdout) == []


@pytest.mark.parametrize("before", ["", "u:", "x", "longer:"])
@pytest.mark.parametrize("secret", leaks.SECRETS)
def test_base64_hides_nothing(secret: str, before: str) -> None:
    """Wherever in a header of Basic it begins."""
    hidden = base64.b64encode(f"{before}{secret}more".encode()).decode()

    assert leaks.kinds_in(hidden) == [leaks.SECRET]
