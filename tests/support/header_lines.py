"""Headers as they came, of a request or an answer."""

from __future__ import annotations

Headers = list[tuple[str, str]]


class HeaderLines:
    """What has `headers`: names in lower case, in their order, none joined."""

    headers: Headers

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key == name]

    def one(self, name: str) -> str | None:
        values = self.all(name)
        assert len(values) < 2, f"{name} came {len(values)} times"
        return values[0] if values else None
