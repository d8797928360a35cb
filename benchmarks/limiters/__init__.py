"""Limiters that several processes can share, each behind the same few lines."""
