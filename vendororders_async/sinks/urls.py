"""The URL of a sink, as it may be shown to anybody."""

from __future__ import annotations

from urllib.parse import urlsplit

from ..errors import one_line


def masked(url: str) -> str:
    """Return *url* in one line, without a password or anything that might be one.

    >>> masked("postgres://me:secret@db.example.com:5432/orders?sslmode=require")
    'postgres://me@db.example.com:5432/orders'
    >>> masked("sqlite:orders.db")
    'sqlite:orders.db'
    """
    scheme, separator, _ = url.partition("://")
    if not separator:
        return one_line(url)
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return one_line(f"{scheme}://…")
    if "@" in parts.path or "@" in parts.query or "@" in parts.fragment:
        return one_line(f"{scheme}://…")  # an unescaped "/", "?" or "#" in the password
    who, at, where = parts.netloc.rpartition("@")
    return one_line(f"{scheme}://{who.partition(':')[0]}{at}{where}{parts.path}")
