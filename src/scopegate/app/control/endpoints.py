"""Control's small HTTP faces: status and metrics for operators, facts for policy workers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from scopegate.admin.guard import why_refused
from scopegate.admin.node import NodeInfo
from scopegate.app.control.issuer_book import IssuerBook
from scopegate.app.control.publisher import Publisher
from scopegate.app.prefix import Prefix
from scopegate.ir.policy import canonical_json, content_id
from scopegate.store.protocol import Store, StoreUnavailable
from scopegate.telemetry.metrics import CONTENT_TYPE, exposition, fetch_envoy_stats

Endpoint = Callable[[Request], Awaitable[Response]]


def status_app(
    store: Store,
    publisher: Publisher,
    issuers: IssuerBook,
    prefix: Prefix,
    *,
    guarded_for: NodeInfo | None = None,
) -> Starlette:
    """`/status`, `/status/ready` and `/metrics` on the status listener.

    guarded_for   the node whose names alone are answered, as on the Admin API (docs/adr/0009)
    """

    async def ready(_: Request) -> Response:
        if prefix.draining.exists():
            return JSONResponse({"message": "scopegate ends"}, 503)
        if publisher.is_ready:
            return JSONResponse({"message": "ready"})
        return JSONResponse({"message": "the proxy has no configuration yet"}, 503)

    async def status(_: Request) -> Response:
        try:
            await store.ping()
            reachable = True
        except StoreUnavailable:
            reachable = False
        proxy = {"configured": publisher.is_ready, "configuration": publisher.state}
        return JSONResponse({"database": {"reachable": reachable}, "proxy": proxy})

    async def metrics(_: Request) -> Response:
        page = exposition(
            prefix.metrics,
            envoy_stats=await fetch_envoy_stats(prefix.envoy_admin_socket),
            issuers_up=issuers.up(),
        )
        return Response(page, media_type=CONTENT_TYPE)

    def guarded(answer: Endpoint) -> Endpoint:
        async def answer_if_allowed(request: Request) -> Response:
            refused = why_refused(request.headers, guarded_for) if guarded_for else None
            return await answer(request) if refused is None else _refused(refused)

        return answer_if_allowed

    return Starlette(
        routes=[
            Route("/status/ready", guarded(ready)),
            Route("/status", guarded(status)),
            Route("/metrics", guarded(metrics)),
        ]
    )


def _refused(why: str) -> Response:
    return JSONResponse({"message": why}, 403)


def facts_app(issuers: IssuerBook) -> Starlette:
    """`POST /facts/{key}`: newer facts than the worker has. See docs/adr/0002.

    `POST /suspects/{key}`: a call of the worker to this issuer's token endpoint failed.
    """

    async def facts(request: Request) -> Response:
        question = await request.json()
        reply = await issuers.refresh(
            request.path_params["key"],
            lambda known: content_id(canonical_json(known)) == question["have"],
            question["key_id"],
        )
        return JSONResponse(
            {
                "facts": reply.facts,
                "retry_in_s": reply.retry_in_s,
                "one_key_id": reply.one_key_id,
                "problem": reply.problem,
                "detail": reply.detail,
            }
        )

    async def suspects(request: Request) -> Response:
        issuers.suspect(request.path_params["key"])
        return Response(status_code=204)

    return Starlette(
        routes=[
            Route("/facts/{key}", facts, methods=["POST"]),
            Route("/suspects/{key}", suspects, methods=["POST"]),
        ]
    )
