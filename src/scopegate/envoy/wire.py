"""Protobuf messages put together from parts that are serialised already.

Ten thousand routes are tens of megabytes of messages of which a change touches one. Fields can be
concatenated, in any number of pieces, so what did not change is kept as bytes.
Source: Protocol Buffers, "Encoding": messages are sequences of tagged records.
"""

from __future__ import annotations

from typing import Any

_LENGTH_DELIMITED = 2


def field(message: type[Any], name: str, content: bytes) -> bytes:
    """A field of this message class that holds a message, text or bytes."""
    number: int = message.DESCRIPTOR.fields_by_name[name].number
    return numbered(number, content)


def numbered(number: int, content: bytes) -> bytes:
    """The same by the number of the field."""
    return varint(number << 3 | _LENGTH_DELIMITED) + varint(len(content)) + content


def varint(value: int) -> bytes:
    """An unsigned number, seven bits to a byte, the lowest first."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
