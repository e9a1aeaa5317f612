"""From a path to its endpoint: a literal segment goes before a named one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from scopegate.admin.endpoints import Endpoint


class Routes:
    """All endpoints, as a tree of path segments."""

    def __init__(self, endpoints: Iterable[Endpoint]) -> None:
        self._root = _Node()
        self._paths: list[str] = []
        for endpoint in endpoints:
            node = self._root
            for segment in endpoint.segments:
                node = node.below(segment)
            node.endpoint = endpoint
            self._paths.append(endpoint.path)

    def find(self, segments: Sequence[str]) -> tuple[Endpoint, dict[str, str]] | None:
        """The endpoint and what stands in its names, or None."""
        return self._root.find(tuple(segments))

    def paths(self) -> list[str]:
        """All paths, segment by segment in order."""
        return sorted(self._paths, key=lambda path: path.split("/"))


class _Node:
    """One segment of the tree. A named segment may have several names, each with its own rest."""

    def __init__(self) -> None:
        self.endpoint: Endpoint | None = None
        self._literal: dict[str, _Node] = {}
        self._named: dict[str, _Node] = {}

    def below(self, segment: str) -> _Node:
        if segment.startswith("{"):
            return self._named.setdefault(segment.strip("{}"), _Node())
        return self._literal.setdefault(segment, _Node())

    def find(self, segments: tuple[str, ...]) -> tuple[Endpoint, dict[str, str]] | None:
        if not segments:
            return None if self.endpoint is None else (self.endpoint, {})
        first, *rest = segments
        if first in self._literal:
            found = self._literal[first].find(tuple(rest))
            if found is not None:
                return found
        for name, node in self._named.items():
            found = node.find(tuple(rest)) if first else None
            if found is not None:
                return found[0], {name: first, **found[1]}
        return None
