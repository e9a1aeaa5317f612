"""An upstream that answers with what it was asked, as httpbin does.

    async with EchoUpstream(port=0) as echo:
        echo.url, echo.seen

/anything…        what arrived, in httpbin's shape; any method
/raw…             what arrived, byte for byte: target and headers in their order
/status/{code}    that status
/delay/{s}        as /anything, after so many seconds
/stream           server-sent events, one a second; ?count= and ?interval_s=
/ws               a WebSocket that sends back what it gets

Glossary
--------
target     path and query as they stood in the request line
seen       a request that arrived, for tests
"""

from scopegate_demo.echo.server import EchoUpstream, Seen

__all__ = ["EchoUpstream", "Seen"]
