"""Servers to try things on: each is a module that runs with `python -m`."""
