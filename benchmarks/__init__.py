"""Benchmarks: one module a question, one printer, one seed. ``make bench`` runs them all."""
