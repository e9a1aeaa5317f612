"""Who there is: users, groups, roles, clients and client scopes, in Keycloak's words."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field

STORY_PASSWORD = "veryComplexPa55word"
STORY_CLIENT_ID = "blog_post"
STORY_CLIENT_SECRET = "blog_post_secret"

LOOPBACK_REDIRECT_URIS = tuple(
    f"{scheme}://{host}/*"
    for scheme in ("http", "https")
    for host in ("localhost", "127.0.0.1", "[::1]")
)


@dataclass(frozen=True, slots=True)
class Group:
    """Users in it have its roles."""

    name: str
    roles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class User:
    """A person who can log in."""

    username: str
    email: str
    first_name: str
    last_name: str
    groups: tuple[str, ...] = ()
    password: str = field(default=STORY_PASSWORD, repr=False)

    @property
    def sub(self) -> str:
        """The subject identifier: the same after a restart."""
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"demo-idp:user:{self.username.lower()}"))

    @property
    def name(self) -> str:
        return f"{self.first_name} {self.last_name}"


@dataclass(frozen=True, slots=True)
class ClientScope:
    """A word for the token's `scope`. With `role` only those get it who have that role."""

    name: str
    role: str | None = None


@dataclass(frozen=True, slots=True)
class Client:
    """An application that sends people here.

    redirect_uris           exact, or with a `*` at the end; a loopback host without a port takes
                            any port (RFC 8252 §7.3); see `redirects.py`
    default_scopes          always in the token's scope, asked for or not
    service_account_roles   roles of the client itself, for `client_credentials`
    """

    client_id: str
    secret: str = field(repr=False)
    redirect_uris: tuple[str, ...] = LOOPBACK_REDIRECT_URIS
    default_scopes: tuple[str, ...] = ("profile", "email", "kong_api_access")
    service_account_roles: tuple[str, ...] = ()

    def has_secret(self, secret: str) -> bool:
        return secrets.compare_digest(self.secret.encode(), secret.encode())


@dataclass(frozen=True, slots=True)
class Realm:
    """All of them. The order of `scopes` is the order of the words in a token's scope."""

    name: str
    users: tuple[User, ...]
    groups: tuple[Group, ...]
    scopes: tuple[ClientScope, ...]
    clients: tuple[Client, ...]

    def user(self, username: str) -> User | None:
        """The user of that name or e-mail address, in any case."""
        wanted = username.strip().casefold()
        for user in self.users:
            if wanted in (user.username.casefold(), user.email.casefold()):
                return user
        return None

    def authenticate(self, username: str, password: str) -> User | None:
        """The user, if the password is right."""
        user = self.user(username)
        expected = user.password if user is not None else ""
        right = secrets.compare_digest(expected.encode(), password.encode())
        return user if right and user is not None else None

    def client(self, client_id: str) -> Client | None:
        return next((each for each in self.clients if each.client_id == client_id), None)

    def roles_of(self, user: User) -> tuple[str, ...]:
        """Roles by way of the user's groups."""
        return tuple(
            role for group in self.groups if group.name in user.groups for role in group.roles
        )

    def knows_scope(self, name: str) -> bool:
        return name == "openid" or any(scope.name == name for scope in self.scopes)

    def scope_for(
        self, client: Client, roles: Sequence[str], requested: Sequence[str]
    ) -> tuple[str, ...]:
        """The scope that comes of a request: what was asked for and what the client always has,
        less what hangs on a role that the subject does not have.
        """
        wanted = {*requested, *client.default_scopes}
        granted = (
            scope.name
            for scope in self.scopes
            if scope.name in wanted and (scope.role is None or scope.role in roles)
        )
        return (*(["openid"] if "openid" in requested else []), *granted)


def story_realm(redirect_uris: tuple[str, ...] = LOOPBACK_REDIRECT_URIS) -> Realm:
    """The realm of the story: the scope hangs on a role, the role on a group, one user is in it."""
    return Realm(
        name="kong",
        users=(
            User(
                "Blog_with_scope",
                "blog_with_scope@example.com",
                "Blog",
                "With Scope",
                groups=("kong_api_group",),
            ),
            User("Blog_without_scope", "blog_without_scope@example.com", "Blog", "Without Scope"),
        ),
        groups=(Group("kong_api_group", roles=("kong_api_role",)),),
        scopes=(
            ClientScope("profile"),
            ClientScope("email"),
            ClientScope("kong_api_access", role="kong_api_role"),
        ),
        clients=(Client(STORY_CLIENT_ID, STORY_CLIENT_SECRET, redirect_uris),),
    )
