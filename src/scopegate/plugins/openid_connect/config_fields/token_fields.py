"""What makes a token good, and what it must carry."""

from __future__ import annotations

from scopegate.entities.fields import array, record
from scopegate.plugins.openid_connect.config_fields.shapes import (
    Group,
    amount,
    choices,
    claim_path,
    cookie_name,
    flag,
    later,
    text,
    texts,
)

VERIFICATION = Group(
    "Token verification",
    {
        "verify_signature": flag(
            "Verify signatures. False holds only for tokens that came straight from the token "
            "endpoint; what a client presents is always verified.",
            True,
        ),
        "verify_claims": flag("Check the standard claims. False is for debugging.", True),
        "verify_nonce": flag("Check the nonce of ID tokens.", True),
        "verify_parameters": later(
            flag("Compare this configuration with what discovery says is supported.", False)
        ),
        "ignore_signature": choices(
            "Methods whose access tokens from the token endpoint need no good signature.",
            (
                "password",
                "client_credentials",
                "authorization_code",
                "refresh_token",
                "session",
                "introspection",
                "userinfo",
            ),
            (),
        ),
        "enable_hs_signatures": flag("Take HS256, HS384, HS512 with the client secret.", False),
        "leeway": amount("Seconds by which clocks may differ.", 0),
        "domains": texts("Values of the `hd` claim that are good."),
        "jwt_session_cookie": cookie_name(
            "The cookie whose value must equal the claim `jwt_session_claim`."
        ),
        "jwt_session_claim": text("The claim that it must equal.", "sid"),
        "reverify": flag("Verify the tokens of a session at every request.", False),
        "refresh_tokens": flag("Refresh a session's tokens when they expire.", True),
    },
)

AUTHORISATION = Group(
    "Authorisation",
    {
        "scopes_required": texts(
            "Scopes that a token must carry: all words of one entry, one entry of several."
        ),
        "scopes_claim": claim_path("Where scopes are.", ("scope",)),
        "audience_required": texts("Audiences that a token must carry."),
        "audience_claim": claim_path("Where audiences are.", ("aud",)),
        "groups_required": texts("Groups that a token must carry."),
        "groups_claim": claim_path("Where groups are.", ("groups",)),
        "roles_required": texts("Roles that a token must carry."),
        "roles_claim": claim_path("Where roles are.", ("roles",)),
        "claims_forbidden": texts("Claims that a token must not carry."),
        "search_user_info": later(flag("Ask for user info to find claims.", False)),
        "resolve_distributed_claims": later(flag("Fetch distributed claims.", False)),
    },
)

CONSUMER_MAPPING = Group(
    "Consumers",
    {
        "consumer_claims": array(
            texts("One path.", len_min=1),
            description="Paths of the claim that names the consumer; the first found is used.",
        ),
        "consumer_by": choices(
            "Which of a consumer's fields it is compared with.",
            ("username", "custom_id", "id"),
            ("username", "custom_id"),
        ),
        "consumer_optional": flag("Go on without a consumer when none is found.", False),
        "by_username_ignore_case": flag("Compare user names without regard to case.", False),
        "consumer_groups_claim": later(claim_path("Where the consumer groups are.")),
        "consumer_groups_optional": later(
            flag("Go on without a consumer group when none is found.", False)
        ),
        "credential_claim": claim_path(
            "The claim that identifies the credential when there is no consumer.", ("sub",)
        ),
        "authenticated_groups_claim": claim_path(
            "Where the groups are that the upstream and the acl plugin see."
        ),
        "principals": later(
            record(
                {
                    "enabled": flag("Whether it is asked.", False),
                    "directory": text("Which directory.", "default"),
                    "principal_by": text("What a principal is looked for by."),
                    "principal_claim": claim_path("Which claim names it."),
                    "error_on_miss": flag("Refuse when none is found.", True),
                    "match_consumer": flag("Map to a consumer.", True),
                    "match_consumer_groups": flag("Map to consumer groups.", True),
                },
                description="Kong's hosted identity service.",
                required=True,
            ),
            limits="never: the service is Kong's own",
        ),
    },
)
