"""The Admin API as an ASGI application.

Every answer passes through here: who may ask (`guard`), which endpoint (`routing`), what a body may
be (`body`), what became of the write at the proxy, and what an error looks like. Nothing that goes
wrong inside leaves more than "An unexpected error occurred".
Source: contract admin-api.md §2.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from scopegate.admin import guard
from scopegate.admin.arguments import parse_arguments
from scopegate.admin.body import Sent, read_sent
from scopegate.admin.endpoints import Answer, Call, Endpoint, Ports
from scopegate.admin.entity_endpoints import entity_endpoints
from scopegate.admin.errors import (
    METHOD_NOT_ALLOWED,
    NOT_FOUND,
    UNEXPECTED,
    AdminError,
    refusal,
    schema_refusal,
    store_refusal,
)
from scopegate.admin.information import Information
from scopegate.admin.node import NodeInfo, PublishResult, ServerCounts
from scopegate.admin.routing import Routes
from scopegate.admin.unbuilt import unbuilt_message
from scopegate.entities.filling import Makings
from scopegate.entities.finding import Finding
from scopegate.entities.kinds import entity_schemas
from scopegate.entities.plugins import PluginType
from scopegate.entities.violations import SchemaViolation
from scopegate.plugins.registry import PLUGIN_TYPES
from scopegate.store.protocol import (
    ForeignKeyViolation,
    PrimaryKeyViolation,
    StillReferenced,
    Store,
    StoreUnavailable,
    UniqueViolation,
)

log = structlog.get_logger("scopegate.admin")

CONFIG_HEADER = "X-Scopegate-Config"
DETAIL_HEADER = "X-Scopegate-Config-Detail"
_WITH_BODY = ("POST", "PUT", "PATCH")
_BODY_UNREAD = (408, 413)  # the rest of it could go on for ever


def create_admin_app(
    store: Store,
    *,
    publish: Callable[[], Awaitable[PublishResult]],
    findings: Callable[[], Sequence[Finding]],
    node: NodeInfo,
    now_s: Callable[[], int],
    new_uuid: Callable[[], str],
    random_string: Callable[[], str],
    counts: Callable[[], Awaitable[ServerCounts | None]],
    plugin_types: Sequence[PluginType] = PLUGIN_TYPES,
) -> ASGIApp:
    """The application, to be served by any ASGI server that sends no `Server` header of its own.

    publish        called after every committed write; its state stands in `X-Scopegate-Config`,
                   what there is to say about it in `X-Scopegate-Config-Detail`
    findings       what there is to know about the configuration now
    now_s          unix seconds
    new_uuid       a fresh UUID, lower case
    random_string  32 random characters of a secret's strength
    counts         the proxy's connections and requests, for `/status`; None when it does not say
    """
    ports = Ports(
        store=store,
        schemas=entity_schemas(plugin_types),
        plugin_types={plugin.name: plugin for plugin in plugin_types},
        publish=publish,
        findings=findings,
        node=node,
        makings=lambda: Makings(now_s(), new_uuid, random_string),
        counts=counts,
    )
    return AdminApi(ports)


class AdminApi:
    """The application; every answer, of whatever kind, leaves through `__call__`."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        endpoints = [*Information(ports).endpoints(), *entity_endpoints(ports)]
        paths = Endpoint("/endpoints", {"GET": self._list_endpoints})
        self._routes = Routes([*endpoints, paths])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request. `scope` is of type http."""
        started = time.perf_counter()
        request = Request(scope, receive)
        try:
            response = await self._respond(request)
        except ClientDisconnect:
            return
        headers = guard.cors_headers(request.headers, self._ports.node)
        latency_ms = round((time.perf_counter() - started) * 1000)
        response.headers.update(
            {
                **headers,
                "Server": f"scopegate/{self._ports.node.version}",
                "X-Kong-Admin-Latency": str(latency_ms),
                "X-Content-Type-Options": "nosniff",
                "Cache-Control": "no-store",  # there are secrets in the answers
            }
        )
        if response.status_code in _BODY_UNREAD:
            response.headers["Connection"] = "close"
        await response(scope, receive, send)

    async def _respond(self, request: Request) -> Response:
        try:
            refused = guard.why_refused(request.headers, self._ports.node)
            if refused is not None:
                return _json(403, {"message": refused})
            return await self._dispatch(request)
        except AdminError as refusal:
            return _json(refusal.status, refusal.body)
        except StoreUnavailable as error:
            log.error("the database does not answer", detail=str(error), path=request.url.path)
            return _json(503, {"message": "the database does not answer"})
        except ClientDisconnect:
            raise
        except Exception as error:  # noqa: BLE001 - the last line: an answer without a traceback
            log.error("admin request failed", path=request.url.path, **_where(error))
            return _json(500, {"message": UNEXPECTED})

    async def _dispatch(self, request: Request) -> Response:
        segments = _segments(request.scope)
        found = self._routes.find(segments)
        if found is None:
            return _json(404, {"message": unbuilt_message(segments) or NOT_FOUND})
        endpoint, names = found
        if request.method == "OPTIONS":
            return _options(endpoint, request)
        method = "GET" if request.method == "HEAD" else request.method
        handler = endpoint.methods.get(method)
        if handler is None:
            answer = _json(405, {"message": METHOD_NOT_ALLOWED})
            answer.headers["Allow"] = endpoint.allowed
            return answer
        sent = await read_sent(request) if method in _WITH_BODY else Sent({})
        query = parse_arguments(request.scope["query_string"].decode("latin-1"), maps=False)
        try:
            answered = await handler(Call(names, query, sent))
        except SchemaViolation as violation:
            raise schema_refusal(violation) from None
        except (
            UniqueViolation,
            PrimaryKeyViolation,
            ForeignKeyViolation,
            StillReferenced,
        ) as error:
            raise store_refusal(error) from None
        return await self._finish(request, answered)

    async def _finish(self, request: Request, answered: Answer) -> Response:
        response = _json(answered.status, answered.body)
        if answered.publish:
            published = await self._publish()
            response.headers[CONFIG_HEADER] = published.state
            if published.detail:
                response.headers[DETAIL_HEADER] = _header_text(published.detail)
        if request.method == "HEAD":
            response.body = b""  # the headers keep the length that GET would have
        return response

    async def _publish(self) -> PublishResult:
        """The write is committed whatever happens here, so the answer stays what it is."""
        try:
            return await self._ports.publish()
        except Exception as error:  # noqa: BLE001 - see above
            log.error("a committed change could not be published", **_where(error))
            return PublishResult("pending")

    async def _list_endpoints(self, _call: Call) -> Answer:
        return Answer(200, {"data": self._routes.paths()})


def _segments(scope: Scope) -> tuple[str, ...]:
    """The path's parts, each decoded by itself, so that an encoded slash stays in its part.

    Raises AdminError (400).
    """
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    path = raw.partition(b"?")[0].decode("latin-1").removeprefix("/").removesuffix("/")
    try:
        return tuple(unquote(part, errors="strict") for part in path.split("/")) if path else ()
    except UnicodeDecodeError:
        raise refusal(400, "the path must be UTF-8") from None


def _header_text(text: str) -> str:
    """On one line, in the characters that a header may have (RFC 9110 §5.5)."""
    ascii_text = text.encode("ascii", "backslashreplace").decode()
    return "".join(letter if letter.isprintable() else " " for letter in ascii_text)


def _options(endpoint: Endpoint, request: Request) -> Response:
    wanted = request.headers.get("access-control-request-headers")
    return Response(
        status_code=204,
        headers={
            "Allow": endpoint.allowed,
            "Access-Control-Allow-Methods": endpoint.allowed,
            "Access-Control-Allow-Headers": wanted or "Content-Type",
        },
    )


def _json(status: int, body: Mapping[str, Any] | None) -> Response:
    if body is None:
        return Response(status_code=status)
    return JSONResponse(body, status_code=status, media_type="application/json; charset=utf-8")


def _where(error: Exception) -> dict[str, str]:
    """Type and place, never the text: a database error quotes the document that it failed on."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "unknown"
    return {"error": type(error).__name__, "at": place}
