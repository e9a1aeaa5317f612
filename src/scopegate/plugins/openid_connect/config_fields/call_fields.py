"""How the identity provider's endpoints are called, and proof of possession."""

from __future__ import annotations

from scopegate.entities.fields import array, record
from scopegate.plugins.openid_connect.config_fields.shapes import (
    Group,
    amount,
    choice,
    choices,
    flag,
    header_names,
    later,
    text,
    texts,
    whole,
)

TOKEN_CALL = Group(
    "The call to the token endpoint",
    {
        "token_headers_names": header_names("Extra headers: names."),
        "token_headers_values": texts("Extra headers: values."),
        "token_headers_client": later(
            header_names("Headers that are copied from the client's request.")
        ),
        "token_post_args_names": texts("Extra body arguments: names."),
        "token_post_args_values": texts("Extra body arguments: values."),
        "token_post_args_client": later(
            texts("Body arguments that are copied from the client's request.")
        ),
        "token_headers_replay": later(
            texts("Headers of the answer that are handed to the client.")
        ),
        "token_headers_prefix": later(text("What the names of those headers begin with.")),
        "token_headers_grants": later(
            choices(
                "For which grants those headers are handed on.",
                ("password", "client_credentials", "authorization_code", "refresh_token"),
            )
        ),
        "token_exchange": later(
            record(
                {
                    "subject_token_issuers": array(
                        record(
                            {
                                "issuer": text("The issuer.", required=True),
                                "jwks_uri": text("Where its keys are."),
                                "verify_signature": flag("Verify its tokens.", False),
                                "conditions": record(
                                    {
                                        "has_audience": texts("Audiences that are there."),
                                        "has_scopes": texts("Scopes that are there."),
                                        "missing_audience": texts("Audiences that are not."),
                                        "missing_scopes": texts("Scopes that are not."),
                                    },
                                    description="When a token of our own issuer is exchanged.",
                                ),
                            }
                        ),
                        description="Whose tokens are exchanged.",
                        required=True,
                    ),
                    "request": record(
                        {
                            "audience": texts("The audience to ask for."),
                            "scopes": texts("The scopes to ask for."),
                            "empty_audience": flag("Ask for no audience.", False),
                            "empty_scopes": flag("Ask for no scopes.", False),
                        },
                        description="What is asked for.",
                    ),
                    "cache": record(
                        {
                            "enabled": flag("Keep exchanged tokens.", True),
                            "ttl": whole("Seconds for which they are kept."),
                        },
                        description="How long exchanged tokens are kept.",
                    ),
                },
                description="Exchange tokens of other issuers (RFC 8693).",
            )
        ),
    },
)

INTROSPECTION_CALL = Group(
    "The call to the introspection endpoint",
    {
        "introspection_hint": later(text("The value of `token_type_hint`.", "access_token")),
        "introspection_token_param_name": later(text("The name of the token's argument.", "token")),
        "introspection_accept": later(
            choice(
                "Which kind of answer is asked for.",
                (
                    "application/json",
                    "application/token-introspection+jwt",
                    "application/jwt",
                ),
                "application/json",
            )
        ),
        "introspection_check_active": later(flag("Refuse tokens that are not `active`.", True)),
        "introspection_headers_names": later(texts("Extra headers: names.")),
        "introspection_headers_values": later(
            texts("Extra headers: values.", referenceable=True, encrypted=True)
        ),
        "introspection_headers_client": later(
            texts("Headers that are copied from the client's request.")
        ),
        "introspection_post_args_names": later(texts("Extra body arguments: names.")),
        "introspection_post_args_values": later(texts("Extra body arguments: values.")),
        "introspection_post_args_client": later(
            texts("Body arguments that are copied from the client's request.")
        ),
        "introspection_post_args_client_headers": later(
            texts("Body arguments that are copied from the client's headers.")
        ),
    },
)

USER_INFO_CALL = Group(
    "The call to the user info endpoint",
    {
        "userinfo_accept": later(
            choice(
                "Which kind of answer is asked for.",
                ("application/json", "application/jwt"),
                "application/json",
            )
        ),
        "userinfo_headers_names": later(texts("Extra headers: names.")),
        "userinfo_headers_values": later(texts("Extra headers: values.")),
        "userinfo_headers_client": later(
            texts("Headers that are copied from the client's request.")
        ),
        "userinfo_query_args_names": later(texts("Extra query arguments: names.")),
        "userinfo_query_args_values": later(texts("Extra query arguments: values.")),
        "userinfo_query_args_client": later(
            texts("Query arguments that are copied from the client's request.")
        ),
    },
)

POSSESSION = Group(
    "Proof of possession",
    {
        "proof_of_possession_mtls": later(
            choice("Bind tokens to certificates.", ("off", "strict", "optional"), "off")
        ),
        "proof_of_possession_mtls_from_header": later(
            record(
                {
                    "certificate_header_name": text("The header.", required=True),
                    "certificate_header_format": choice(
                        "How the certificate stands in it.",
                        ("base64_encoded", "url_encoded"),
                        "url_encoded",
                    ),
                    "ca_certificates": texts("Whom to believe.", required=True),
                    "allow_partial_chain": flag("An intermediate is enough.", False),
                    "secure_source": flag("Only from trusted addresses.", True),
                    "revocation_check_mode": choice(
                        "How strictly revocation is checked.",
                        ("SKIP", "IGNORE_CA_ERROR", "STRICT"),
                        "IGNORE_CA_ERROR",
                    ),
                    "cert_cache_ttl": amount("Milliseconds for which the result is kept.", 60000),
                    "http_timeout": amount("Milliseconds that a responder may take.", 30000),
                    "http_proxy_host": text("The proxy's host for http."),
                    "http_proxy_port": whole("The proxy's port for http.", None, (0, 65535)),
                    "https_proxy_host": text("The proxy's host for https."),
                    "https_proxy_port": whole("The proxy's port for https.", None, (0, 65535)),
                    "ssl_verify": flag("Verify the revocation servers.", True),
                },
                description="Take the client's certificate from a header.",
            )
        ),
        "proof_of_possession_dpop": later(
            choice("Bind tokens to keys (DPoP).", ("off", "strict", "optional"), "off")
        ),
        "proof_of_possession_auth_methods_validation": later(
            flag("Refuse methods that cannot prove possession.", True)
        ),
        "dpop_proof_lifetime": later(amount("Seconds for which a DPoP proof is good.", 300)),
        "dpop_use_nonce": later(flag("Ask for a nonce in DPoP proofs.", False)),
    },
)
