"""What happens to the headers of every request on arrival, before anything reads them.

The proxy filter's module does it, as an early header mutation (`proxy_filter/src/arriving.rs`):
clients' words that only the gateway may say are taken away, and its own are put there. What one
plugin may set besides is taken away on its own routes (for openid-connect:
`plugins/openid_connect/stripping.py`). Source: contract openid-connect.md §7, §22 (1).
"""

from __future__ import annotations

from collections.abc import Iterator

from envoy.config.core.v3.extension_pb2 import TypedExtensionConfig
from envoy.extensions.dynamic_modules.v3.dynamic_modules_pb2 import DynamicModuleConfig
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.any_pb2 import Any
from google.protobuf.message import Message

from scopegate.envoy.messages import packed
from scopegate.envoy.proxy_filter import module, text
from scopegate.envoy.settings import TrustedPeers
from scopegate.ir import gateway as ir

_PACKAGE = "envoy.extensions.http.early_header_mutation.dynamic_modules.v3"
_NAME = "DynamicModuleEarlyHeaderMutation"


def arrival(listener: ir.Listener, trusted: TrustedPeers | None) -> TypedExtensionConfig:
    """The early header mutation of a listener."""
    mutation = _MUTATION(
        dynamic_module_config=module(),
        early_header_mutation_name="arrival",
        early_header_mutation_config=text(arrival_lines(listener, trusted)),
    )
    return TypedExtensionConfig(name="scopegate.arrival", typed_config=packed(mutation))


def arrival_lines(listener: ir.Listener, trusted: TrustedPeers | None) -> Iterator[str]:
    """What it reads: one `word value` to a line."""
    yield f"port {listener.port}"
    if listener.tls is not None:
        yield "tls on"
    if trusted is not None:
        yield from (f"trusted {each}" for each in trusted.ranges)
        yield f"real-ip-header {trusted.address_header}"
        if trusted.recursive:
            yield "real-ip-recursive on"


def _mutation() -> type[Message]:
    """Envoy 1.40's message, which the package of its messages does not have yet."""
    field = descriptor_pb2.FieldDescriptorProto
    messages = (DynamicModuleConfig.DESCRIPTOR, Any.DESCRIPTOR)
    file = descriptor_pb2.FileDescriptorProto(
        name="scopegate/early_header_mutation.proto",
        package=_PACKAGE,
        syntax="proto3",
        dependency=[each.file.name for each in messages],
    )
    message = file.message_type.add(name=_NAME)
    fields = (
        ("dynamic_module_config", field.TYPE_MESSAGE, messages[0]),
        ("early_header_mutation_name", field.TYPE_STRING, None),
        ("early_header_mutation_config", field.TYPE_MESSAGE, messages[1]),
    )
    for number, (name, type_, of) in enumerate(fields, start=1):
        message.field.add(
            name=name,
            number=number,
            type=type_,
            label=field.LABEL_OPTIONAL,
            type_name=f".{of.full_name}" if of else None,
        )
    pool = descriptor_pool.Default()
    pool.Add(file)
    made: type[Message] = message_factory.GetMessageClass(
        pool.FindMessageTypeByName(f"{_PACKAGE}.{_NAME}")
    )
    return made


_MUTATION = _mutation()
