"""What becomes of good JSON: extra, missing, of another type, huge, deep, twice, and no JSON.

    mutate(tree, chance).written      # bytes, in which one or some places are something else
    mutate(tree, chance).what         # how, for whoever reads a failure

Brackets and quotes still match: where they do not, nothing tells a broken order from a body
that was cut off.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

Path = tuple[Any, ...]


class Written(NamedTuple):
    """Bytes that stand in the place of a value."""

    raw: bytes


class Mutated(NamedTuple):
    """A document, and what was done to it."""

    written: bytes
    what: str


def written(value: object) -> bytes:
    """Return *value* as JSON; what is `Written` stays as it is."""
    match value:
        case Written(raw):
            return raw
        case dict():
            pairs = (b"%s:%s" % (json.dumps(k).encode(), written(v)) for k, v in value.items())
            return b"{%s}" % b",".join(pairs)
        case list():
            return b"[%s]" % b",".join(map(written, value))
        case _:
            return json.dumps(value, ensure_ascii=False).encode()


def places(tree: Any, path: Path = ()) -> Iterator[Path]:
    """Yield the path of every value in *tree*, its own too."""
    yield path
    items: Any = tree.items() if isinstance(tree, dict) else ()
    if isinstance(tree, list):
        items = enumerate(tree)
    for key, value in items:
        yield from places(value, (*path, key))


def mutate(tree: Any, chance: random.Random, where: list[Path] | None = None) -> Mutated:
    """Return *tree* with one to three of its places, or of those in *where*, made odd."""
    said = []
    for _ in range(chance.choice((1, 1, 2, 3))):
        found = [one for one in where or places(tree) if _has(tree, one)]
        path = chance.choice(found)
        name = chance.choice(list(_MUTATIONS))
        tree = _replaced(tree, path, partial(_changed, name, chance))
        said.append(f"{name} at {'.'.join(map(str, path)) or 'the whole'}")
    return Mutated(written(tree), ", ".join(said))


def _changed(name: str, chance: random.Random, value: Any) -> Any:
    return _MUTATIONS[name](value, chance)


class _Missing(NamedTuple):
    """In the place of what is taken away."""


def _has(tree: Any, path: Path) -> bool:
    for key in path:
        if isinstance(tree, dict):
            if key not in tree:
                return False
        elif not isinstance(tree, list) or not isinstance(key, int) or key >= len(tree):
            return False
        tree = tree[key]
    return True


def _replaced(tree: Any, path: Path, change: Callable[[Any], Any]) -> Any:
    """Return a copy of *tree* in which the value at *path* is changed."""
    if not path:
        changed = change(tree)
        return {} if isinstance(changed, _Missing) else changed
    copy = tree.copy()
    changed = _replaced(tree[path[0]], path[1:], change) if path[1:] else change(tree[path[0]])
    if isinstance(changed, _Missing):
        del copy[path[0]]
    else:
        copy[path[0]] = changed
    return copy


def _one_of(*texts: str | bytes) -> Callable[[Any, random.Random], Any]:
    raws = [one.encode() if isinstance(one, str) else one for one in texts]
    return lambda _, chance: Written(chance.choice(raws))


def _extra(value: Any, chance: random.Random) -> Any:
    odd = _MUTATIONS[chance.choice(_ODD)](value, chance)
    if isinstance(value, dict):
        return {chance.choice(("new", "", "\x00", "payload", "orders", "$ref")): odd, **value}
    return [*value, odd] if isinstance(value, list) else {"amount": value, "new": odd}


def _twice(value: Any, chance: random.Random) -> Any:
    """Return *value* with one of its keys twice, the other value before it or after."""
    if not isinstance(value, dict) or not value:
        return [value, value]
    name = chance.choice(list(value))
    other = Written(chance.choice((b"null", b'"other"', b"[]", b"{}", written(value[name]))))
    members = (
        [*value.items(), (name, other)]
        if chance.random() < 0.5
        else [
            (name, other),
            *value.items(),
        ]
    )
    pairs = (b"%s:%s" % (json.dumps(k).encode(), written(v)) for k, v in members)
    return Written(b"{%s}" % b",".join(pairs))


def _respelled(value: Any, chance: random.Random) -> Any:
    """Return *value* with another name for a field, or written out as a text."""
    if isinstance(value, dict) and value and chance.random() < 0.5:
        name = chance.choice(list(value))
        to = chance.choice((name.upper(), name.capitalize(), f" {name}", f"{name}\x00"))
        return {to if key == name else key: one for key, one in value.items()}
    return Written(b'"%s"' % written(value).replace(b"\\", b"").replace(b'"', b""))


def _deep(_: Any, chance: random.Random) -> Written:
    depth = chance.choice((90, 101, 1_000, 5_000))
    depth = 100_000 if chance.random() < 0.05 else depth  # it takes a tenth of a second
    if chance.random() < 0.5:
        return Written(b"[" * depth + b"]" * depth)
    return Written(b'{"a":' * depth + b"1" + b"}" * depth)


def _digits(_: Any, chance: random.Random) -> Written:
    number = b"%s" % b"123456789" * chance.choice((3, 500, 1_112, 12_000))
    number = (
        chance.choice((b"%s", b"-%s", b"0.%s", b"%s.5", b"1e%s", b"1e-%s", b"%se5")) % number
    )
    return Written(b'"%s"' % number if chance.random() < 0.5 else number)


def _huge(_: Any, chance: random.Random) -> Written:
    count = chance.choice((1_000, 20_000))
    return Written(
        chance.choice(
            (
                b'"%s"' % (b"x" * 5 * count),
                b'"%s"' % (b"\\u0000" * count),
                b'"%s"' % (b'\\"]}' * count),
                b"[%s]" % b",".join([b"null"] * count),
                b"[%s]" % b",".join([b"{}"] * count),
                b"{%s}" % b",".join(b'"k%d":1' % one for one in range(count)),
                b"1%s" % (b"0" * count),
                b"[%s1]" % (b" " * count),
            )
        )
    )


_MUTATIONS: dict[str, Callable[[Any, random.Random], Any]] = {
    "extra": _extra,
    "missing": lambda *_: _Missing(),
    "another type": _one_of(
        *("null", "true", "false", "0", "-0", "1.5", '""', '"x"', "[]", "{}", "[[]]", "[null]"),
        *('{"amount":"x"}', '["x"]', '"10"', '" 10 "', '"TRUE"', '{"":""}'),
    ),
    "huge": _huge,
    "deep": _deep,
    "twice": _twice,
    "respelled": _respelled,
    "digits": _digits,
    "invalid UTF-8": _one_of(b'"\xff\xfe"', b'"\xed\xa0\x80"', b'"\xc0\x80"', b'"\xf0\x9f"'),
    "no number": _one_of(
        *("NaN", "Infinity", "-Infinity", "01", "1.", ".5", "+1", "-", "0x10", "1_0", "1e"),
        *('"NaN"', '"Infinity"', '"sNaN"', '"-"', '"1_0"', '"\u0661"'),
    ),
    "exponent": _one_of(
        *(
            "1e400",
            "1e-400",
            "1e999999",
            "1e-999999",
            "1e99999999999999999999",
            "-0e0",
            "0e999999",
        ),
        *('"1e999999"', '"-1e-999999"', '"1E99999999999999999999"', '"0e-999999999"', '"1e5"'),
    ),
    "beyond 64 bits": _one_of(
        *(str(2**63), str(-(2**63)), str(-(2**63) - 1), str(2**64), str(2**128), f'"{2**63}"'),
        *('"9.223372036854775807e18"', "1e18", "1e19"),
    ),
    "odd text": _one_of(
        *('"\\ud800"', '"\\udc00\\ud800"', '"\\u0000"', '"a\\u0000b"', '"\\ud83d\\ude00"'),
        *('"\\q"', '"\\u12G4"', '"a\x00b"', '"a\nb"', '"\t"', '"\x7f\u0085\u2028"', '"\\\\"'),
        *('"=HYPERLINK(1)"', '"\'; DROP TABLE orders; --"', '"../../x?y#z"', '"%00"', '"\\/"'),
    ),
    "odd date": _one_of(
        *('"0000-01-01T00:00:00Z"', '"0001-01-01T00:00:00+14:00"', '"2026-02-30T00:00:00Z"'),
        *('"9999-12-31T23:59:59.999999-14:00"', '"2016-12-31T23:59:60Z"', '"now"', '"today"'),
        *('"10000-01-01T00:00:00Z"', '"2026-01-01T00:00:00.1234567890123Z"', '"2026-01-01"'),
        *('"2026-W01-1"', '"20260101T000000Z"', '"2026-01-01 00:00:00"', '"infinity"'),
        *('"2026-01-01T00:00:00+23:59:59.999999"', '"2026-01-01T00:00:00-00:00"'),
        '"0001-01-01T00:00:00+14:00--9999-12-31T23:59:59-14:00"',
        *('"2026-02-30--2026-02-31"', '"--"', '"infinity---infinity"', "1767225600"),
    ),
    "broken": _one_of(*("tru", "nul", "[1,]", '{"a":1,}', "{a:1}", "/**/1", "'x'", "<html>")),
}
_ODD = [name for name in _MUTATIONS if name not in ("extra", "missing", "twice", "respelled")]
