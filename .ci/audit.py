"""Look up in the index of vulnerabilities what constraints.txt pins; exit with 1 for a finding.

Where the index cannot be reached, or is a mirror that knows nothing of vulnerabilities, that is
said and no more: `pip-audit` itself would call such a run clean.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

_PINS = Path(__file__).parents[1] / "constraints.txt"
_SKIPPED = "audit skipped: the index of vulnerabilities cannot be reached"
# how requests, which pip-audit asks by, tells that nobody answers, or a server that cannot
_NO_ANSWER = re.compile(
    r"ConnectionError|ConnectTimeout|ReadTimeout|Max retries exceeded|\b5\d\d Server Error"
)


def verdict(code: int, out: str, err: str) -> tuple[int, str]:
    """Return the exit code, and what to say of a run of pip-audit that ended so."""
    try:
        found = json.loads(out)["dependencies"]
    except (ValueError, KeyError):
        if code == 1 and _NO_ANSWER.search(err):
            return 0, _SKIPPED
        return 1, f"pip-audit failed with {code}:\n{err}"
    if not found:
        return 1, f"pip-audit looked nothing up:\n{err}"
    known = [one for one in found if "skip_reason" not in one]
    if not known:
        return 0, _SKIPPED
    lines = [
        f"{one['name']} {one['version']}: {vulnerability['id']}, mended in "
        f"{', '.join(vulnerability['fix_versions']) or 'no version yet'}"
        for one in known
        for vulnerability in one["vulns"]
    ]
    left_out = [one["name"] for one in found if "skip_reason" in one]
    lines += [f"{name} is not in the index" for name in left_out]
    if lines:
        return 1, "\n".join(lines)
    return 0, f"{len(known)} packages, no known vulnerability"


def main() -> int:
    """Run pip-audit, and say what came of it."""
    command = [sys.executable, "-m", "pip_audit", "--requirement", str(_PINS), "--no-deps"]
    command += ["--disable-pip", "--progress-spinner", "off", "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    code, words = verdict(done.returncode, done.stdout, done.stderr)
    print(words)
    return code


if __name__ == "__main__":
    sys.exit(main())
