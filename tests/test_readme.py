"""What the README and the pages show works: their Python runs, their commands exist."""

from __future__ import annotations

import asyncio
import re
import sys
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from commands import STRICT
from redis_server import COMMAND, RedisServer
from simulated import accounts_of

from vendororders_async.cli import COMMANDS
from vendororders_async.simulator import Settings, Simulator

AMAZON = Settings(
    orders=600,
    days=60,
    rate=200.0,
    burst=200.0,
    oddities=False,
    direct_fulfillment_orders=50,
)
ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").glob("*.md"))]
_REDIS = "redis://cache:6379/0"
EXAMPLES = [
    pytest.param(example, id=f"{page.stem}-{number}")
    for page in PAGES
    for number, example in enumerate(
        re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    )
]


@pytest.mark.parametrize("example", EXAMPLES)
async def test_the_python_of_the_readme_runs(example: str, tmp_path: Path) -> None:
    """Copied as it is and pointed at the simulator, it ends well and says something."""
    simulator = Simulator(AMAZON)
    truth = simulator.truth("demo")
    number = next(one for one in truth if b'"purchaseOrderState":"New"' in truth[one])
    script = tmp_path / "example.py"
    async with AsyncExitStack() as stack:
        if _REDIS in example:
            if COMMAND is None:
                pytest.skip("needs redis-server or valkey-server")
            redis = await stack.enter_async_context(RedisServer(tmp_path))
            example = example.replace(_REDIS, redis.url)
        script.write_text(example.replace("L8266355", number))
        served = await stack.enter_async_context(simulator.serve())
        [account] = accounts_of(served)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, str(script)),
            cwd=tmp_path,
            env={
                "LWA_APP_ID": account.credentials.client_id,
                "LWA_CLIENT_SECRET": account.credentials.client_secret,
                "SP_API_REFRESH_TOKEN": account.credentials.refresh_token,
                "SP_API_ENDPOINT": account.base_url,
                "LWA_ENDPOINT": account.login_url,
                "PYTHONWARNINGS": STRICT,
            },
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()

    assert (process.returncode, err.decode()) == (0, "")
    assert out


def test_every_command_is_in_the_readme() -> None:
    """Whoever reads it knows what there is."""
    text = README.read_text(encoding="utf-8")

    assert [name for name in COMMANDS if f"vendororders {name}" not in text] == []
