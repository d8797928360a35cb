"""Whether an order that is not stored is in quarantine, as a fault spoilt it."""

from __future__ import annotations

from collections.abc import Collection

from vendororders_async.simulator.faults import BAD_ORDER_KINDS, spoil


def is_spoilt(document: bytes, quarantine: Collection[bytes]) -> bool:
    """Say whether *document* is in *quarantine*, the way it came when a fault spoilt it."""
    return bool(quarantine) and any(
        spoil(document, kind) in quarantine for kind in BAD_ORDER_KINDS
    )
