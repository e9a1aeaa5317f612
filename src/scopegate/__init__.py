"""Scopegate: an API gateway in which the identity provider decides who gets in.

Two engines: Envoy carries every byte, Python decides. See docs/architecture.md for the map.
"""

__version__ = "0.1.0"
