"""Several steps that all continue: their changes add up; of two for one name the later one wins."""

from __future__ import annotations

from scopegate.plugins.access import Cacheable, Continue, Header


def merge(earlier: Continue, later: Continue) -> Continue:
    """Both steps' changes as one. What a later step sets is not removed by an earlier one."""
    later_names = {name for name, _ in later.set_headers} | set(later.remove_headers)
    kept: tuple[Header, ...] = tuple(
        header for header in earlier.set_headers if header[0] not in later_names
    )
    return Continue(
        set_headers=kept + later.set_headers,
        remove_headers=tuple(dict.fromkeys(earlier.remove_headers + later.remove_headers)),
        response_headers=earlier.response_headers + later.response_headers,
        query=later.query if later.query is not None else earlier.query,
        method=later.method or earlier.method,
        drop_body=earlier.drop_body or later.drop_body,
        body_cuts=earlier.body_cuts + later.body_cuts,
        cacheable=_both(earlier.cacheable, later.cacheable),
        reason=later.reason,
        subject=later.subject or earlier.subject,
        consumer_id=later.consumer_id or earlier.consumer_id,
        log=earlier.log + later.log,
    )


def _both(earlier: Cacheable | None, later: Cacheable | None) -> Cacheable | None:
    if earlier is None or later is None:
        return None
    return Cacheable(min(earlier.until_s, later.until_s), earlier.tags + later.tags)
