"""Benchmarks of caclient beside its peers: `python -m tests.benchmarks` (see README.md here)."""
