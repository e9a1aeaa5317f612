"""A small real OpenID provider with the users of the story, and faults on command.

    async with DemoIdp(port=0) as idp:
        idp.issuer, idp.behaviour, idp.calls, idp.mint({...})

Its addresses and tokens are shaped like Keycloak's. State is in memory: a restart forgets it all.

Glossary
--------
realm       who there is: users, groups, roles, clients and client scopes
attempt     a login page that is open in some browser
session     a person who is logged in at the provider, named by `sid`
grant       what a person (or a client for itself) let a client have; tokens are made from it
ledger      all that is remembered: attempts, sessions, codes, refresh tokens, revocations
behaviour   what the provider is to do wrong; empty, it is a well-behaved provider
edit        members that are set in, or taken out of, something before it leaves the provider
fault       what an endpoint does instead of answering well: delays, errors, silence
"""

from scopegate_demo.idp.behaviour import Behaviour, Edit, Fault, JwksEdit, TokenEdit
from scopegate_demo.idp.keys import KeyRing
from scopegate_demo.idp.ledger import Lifetimes
from scopegate_demo.idp.realm import (
    STORY_CLIENT_ID,
    STORY_CLIENT_SECRET,
    STORY_PASSWORD,
    Client,
    ClientScope,
    Group,
    Realm,
    User,
    story_realm,
)
from scopegate_demo.idp.server import DemoIdp
from scopegate_demo.idp.signing import Signature

__all__ = [
    "STORY_CLIENT_ID",
    "STORY_CLIENT_SECRET",
    "STORY_PASSWORD",
    "Behaviour",
    "Client",
    "ClientScope",
    "DemoIdp",
    "Edit",
    "Fault",
    "Group",
    "JwksEdit",
    "KeyRing",
    "Lifetimes",
    "Realm",
    "Signature",
    "TokenEdit",
    "User",
    "story_realm",
]
