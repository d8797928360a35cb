"""Judges requests in Amazon's order, whichever way they come, and says what they get."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from email.utils import formatdate
from functools import lru_cache, partial
from itertools import count
from urllib.parse import parse_qsl

import msgspec

from .answers import (
    JSON,
    Answer,
    denied,
    failure,
    html,
    not_found,
    oauth_error,
    refusal,
    throttled,
    too_large,
)
from .bucket import Buckets
from .calls import RESTRICTED, RESTRICTED_TOKEN, SUBMISSIONS, TOKEN, Call, Route, route
from .desk import Desk, Errand
from .faults import PAGING_KINDS, REFUSALS, Fault, Faults, spoil
from .login import Login
from .pages import bomb, compress
from .restricted import RestrictedTokens, refuses_access_tokens
from .seeds import seeded
from .settings import Settings, latency_range
from .traffic import NO_ANSWER, Arrival, Traffic

#: The faults after which the connection is of no use.
RESETS = frozenset({"reset", "reset-before"})
HANGS = frozenset({"hang", "token-hang"})

Watch = Callable[[Call], None]

_FORM = "application/x-www-form-urlencoded"
_DROPPED = RESETS | HANGS
_EFFECTIVE = SUBMISSIONS | {RESTRICTED_TOKEN}
_INSTEAD = REFUSALS | {"reset-before"}  # of the right answer
_CUT = frozenset({"truncated", "truncated-gzip"})
_WITH_RATE = frozenset({200, 202, 400, 404})


class Works(msgspec.Struct, frozen=True):
    """The parts that a simulator is made of."""

    settings: Settings
    now: Callable[[], datetime]
    login: Login
    restricted: RestrictedTokens
    buckets: Buckets
    faults: Faults
    desk: Desk
    traffic: Traffic


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One request as it arrives: the *path* still quoted, *headers* by any case.

    *at* is the loop's time.
    """

    method: str
    path: str
    raw_query: str
    headers: Mapping[str, str]
    body: bytes
    at: float

    @property
    def content_type(self) -> str:
        """What the body is, without the parameters."""
        return self.headers.get("Content-Type", "").partition(";")[0].strip().lower()


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """An answer, for whom it is, and what is to go wrong on its way.

    It is to leave *latency* seconds after the request came, and then *late* more.
    """

    operation: str
    account: str
    answer: Answer
    fault: Fault | None = None
    latency: float = 0.0
    late: float = 0.0

    @property
    def kind(self) -> str:
        """What goes wrong, or nothing."""
        return "" if self.fault is None else self.fault.kind


class Judge:
    """Hears one request after another.

    The order of judgement is Amazon's as far as it shows: the access token, the usage
    plan, the request itself. A request is judged when it arrives, whatever its latency.
    """

    def __init__(self, works: Works) -> None:
        self._works = works
        self._serial = count(1)
        self._random = seeded(works.settings.seed, "latency")
        self._latency = latency_range(works.settings.latency)

    def hear(self, request: Request, before_answer: Watch | None = None) -> Verdict:
        """Return what *request* gets; *before_answer* is told of it once it is let in."""
        found = route(request.method, request.path)
        if found is None:
            answer = not_found(f"{request.method} {request.path}")
            return Verdict(operation="", account="", answer=answer)
        if found.operation == TOKEN:
            account, answer, fault = self._exchange(request)
        else:
            account, answer, fault = self._admit(request, found, before_answer)
        verdict = Verdict(
            operation=found.operation,
            account=account,
            answer=answer,
            fault=fault,
            latency=self._draw_latency(),
            late=self._lateness(fault),
        )
        self._works.traffic.note(
            Arrival(
                at=request.at,
                account=account,
                operation=found.operation,
                status=NO_ANSWER if verdict.kind in _DROPPED else answer.status,
                raw_query=request.raw_query,
                subject=found.subject,
            )
        )
        return verdict

    def headers(self, verdict: Verdict) -> dict[str, str]:
        """Return what the answer's head says when it leaves now."""
        works, answer = self._works, verdict.answer
        headers = {
            "Content-Type": answer.content_type,
            "Date": http_date(int(works.now().timestamp())),
            "Vary": "Accept-Encoding",
            "x-amzn-RequestId": f"{next(self._serial):08x}-0000-4000-8000-000000000000",
        }
        if answer.is_zipped:
            headers["Content-Encoding"] = "gzip"
        if answer.location is not None:
            headers["Location"] = answer.location
        if answer.error_type is not None:
            headers["x-amzn-ErrorType"] = answer.error_type
        if answer.retry_after is not None:
            headers["Retry-After"] = f"{answer.retry_after:g}"
        has_plan = verdict.operation not in {"", TOKEN} and verdict.account != ""
        if has_plan and answer.status in _WITH_RATE and answer.content_type == JSON:
            # "best effort", and never on a throttled, unauthorised or failed request
            # https://developer-docs.amazon.com/sp-api/docs/usage-plans-and-rate-limits
            rate = works.buckets.plan(verdict.account, verdict.operation).rate
            headers["x-amzn-RateLimit-Limit"] = str(float(rate))
        return headers

    def _exchange(self, request: Request) -> tuple[str, Answer, Fault | None]:
        works = self._works
        form = dict(parse_qsl(request.body.decode("utf-8", "replace")))
        account = works.login.client(form.get("client_id", ""))
        if request.content_type != _FORM:
            refused = oauth_error(400, "invalid_request", "The Content-Type is not supported.")
            return account, refused, None
        fault = works.faults.draw(Call(operation=TOKEN, account=account))
        if fault is not None and fault.kind == "token-500":
            problem = "The authorization server has a problem."
            return account, oauth_error(500, "server_error", problem), None
        if fault is not None and fault.kind in _INSTEAD:
            return account, self._refused(fault.kind), fault
        answer = works.login.exchange(form, request.at)
        zipped = accepts_gzip(request.headers.get("Accept-Encoding", ""))
        kind = "" if fault is None else fault.kind
        return account, self._befallen(answer, kind, zipped=zipped), fault

    def _admit(
        self, request: Request, found: Route, before_answer: Watch | None
    ) -> tuple[str, Answer, Fault | None]:
        works = self._works
        if request.method == "GET" and "Content-Length" in request.headers:
            # https://developer-docs.amazon.com/sp-api/docs/resolving-400-errors
            return "", html(400, "Bad Request"), None
        account = self._owner(request, found)
        if isinstance(account, Answer):
            return "", account, None
        refused = self._refusal(request, account, found.operation)
        if refused is not None:
            return account, refused, None
        if before_answer is not None:
            before_answer(_call(account, found, request.raw_query))
        errand = Errand(
            operation=found.operation,
            account=account,
            subject=found.subject,
            raw_query=request.raw_query,
            body=request.body,
            now=works.now(),
            at=request.at,
            is_zipped=accepts_gzip(request.headers.get("Accept-Encoding", "")),
            version=found.version,
        )
        if works.faults.is_quiet:
            return account, works.desk.answer(errand), None
        return account, *self._answer(errand, found)

    def _owner(self, request: Request, found: Route) -> str | Answer:
        """Return whose token the request has, or what it gets for having no good one."""
        works = self._works
        token = request.headers.get("x-amz-access-token")
        account = works.login.owner(token, request.at)
        is_restricted = found.operation in RESTRICTED
        if account is not None:
            refused = refuses_access_tokens(works.settings) if is_restricted else None
            return account if refused is None else refused
        restricted = works.restricted.find(token, request.at)
        if restricted is None or not is_restricted:
            # a restricted token is none for retail: amzn/selling-partner-api-docs issue 2352
            return denied()
        is_covered = restricted.covers(request.method, request.path)
        return restricted.account if is_covered else denied()

    def _refusal(self, request: Request, account: str, operation: str) -> Answer | None:
        """Return what *account* gets if its request is not even looked at."""
        works = self._works
        if not works.buckets.take(account, operation, request.at):
            return throttled(works.settings.retry_after)
        if request.method == "POST" and request.content_type != JSON:
            return failure(415, "UnsupportedMediaType", "The request body is not JSON.")
        return too_large() if len(request.body) > works.settings.largest_body else None

    def _answer(self, errand: Errand, found: Route) -> tuple[Answer, Fault | None]:
        works = self._works
        # A list is looked up before anything goes wrong, since some faults need orders to
        # befall; what has an effect is not, since a refused request has none.
        has_effect = errand.operation in _EFFECTIVE
        answer = None if has_effect else works.desk.answer(errand)
        order_count = 0 if answer is None else answer.order_count
        fault = works.faults.draw(_call(errand.account, found, errand.raw_query, order_count))
        kind = "" if fault is None else fault.kind
        if kind in _INSTEAD:
            return self._refused(kind), fault
        if kind.startswith("bad-order"):
            answer = works.desk.answer(errand, partial(spoil, kind=kind))
        elif kind in PAGING_KINDS:
            answer = works.desk.answer(msgspec.structs.replace(errand, fault=kind))
        elif kind in _CUT:
            answer = works.desk.answer(msgspec.structs.replace(errand, is_zipped=False))
        elif answer is None:
            answer = works.desk.answer(errand)
        return self._befallen(answer, kind, zipped=errand.is_zipped), fault

    def _refused(self, kind: str) -> Answer:
        settings = self._works.settings
        return refusal(kind, retry_after=settings.retry_after, redirect_to=settings.redirect_to)

    def _befallen(self, answer: Answer, kind: str, *, zipped: bool) -> Answer:
        """Return what is left of *answer*; what is to be cut comes unpacked."""
        match kind:
            case "truncated":
                half = _half(answer.body)
                body, is_zipped = (compress(half), True) if zipped else (half, False)
            case "truncated-gzip":
                body, is_zipped = _half(compress(answer.body)), True
            case "gzip-bomb":
                body, is_zipped = bomb(), True
            case "empty":
                body, is_zipped = b"", False
            case "500-after":
                return self._refused(kind)
            case _:
                return answer
        return msgspec.structs.replace(answer, body=body, is_zipped=is_zipped)

    def _draw_latency(self) -> float:
        low, high = self._latency
        return self._random.uniform(low, high) if high > 0 else 0.0

    def _lateness(self, fault: Fault | None) -> float:
        if fault is None or fault.kind != "slow":
            return 0.0
        return self._works.settings.slow_seconds if fault.seconds is None else fault.seconds


def _half(body: bytes) -> bytes:
    return body[: len(body) // 2]


@lru_cache(maxsize=256)
def accepts_gzip(header: str) -> bool:
    """Return whether a client that sends this Accept-Encoding can read gzip.

    >>> accepts_gzip("gzip, deflate"), accepts_gzip("identity"), accepts_gzip("gzip;q=0")
    (True, False, False)
    """
    for part in header.lower().split(","):
        coding, _, weight = part.partition(";")
        if coding.strip() == "gzip":
            return weight.strip() not in {"q=0", "q=0.0"}
    return False


@lru_cache(maxsize=4)
def http_date(second: int) -> str:
    """Write the Date header of that second since 1970."""
    return formatdate(second, usegmt=True)


def _call(account: str, found: Route, raw_query: str, order_count: int = 0) -> Call:
    return Call(
        operation=found.operation,
        account=account,
        subject=found.subject,
        query=dict(parse_qsl(raw_query, keep_blank_values=True)),
        order_count=order_count,
    )
