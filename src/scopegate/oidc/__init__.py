"""The protocol: OAuth 2.0 and OpenID Connect as decisions, without a gateway.

Pure but for `HttpClient`: time (`now_s`, seconds since 1970) and chance are arguments.

A glossary, in the order in which a login meets the terms:

issuer           who signs tokens; its name is the claim `iss`, compared exactly
discovery        reading an issuer's document and keys: `discovery.fetch_issuer`; when that is done
                 is the caller's to say (in the gateway: `app/control/issuer_book.py`)
facts            what is known of an issuer, as data: `issuer_facts.IssuerFacts`
key set, JWKS    an issuer's public keys: read by `jwks`, looked up in `keys.KeySet`
owner            the issuer that a key set may vouch for: `key_owners`
authorization request, response
                 what the browser is sent away with and comes back with: `authorization`
state, nonce, PKCE verifier
                 what ties the two to one browser: made by `session/login_state.py`, nonce and
                 verifier again at the callback
grant            what is exchanged for tokens at the token endpoint: `grants`
client authentication
                 how the client shows who it is there: `client_authentication`
token set        access, ID and refresh token of one answer: `grants.TokenSet`
JWS, JWT         a signed token, read strictly: `jws.parse_jws`
kind             access token, ID token, logout token …: `token_kinds`
rules            what a token must meet: `claim_checks.AccessTokenRules`, `IdTokenRules`
verify, read     check a token with or without its signature: `tokens`
claim, words     what a token says, and a claim as a list: `claim_lookup`
end session      logging out at the identity provider: `logout`
reason           why something is refused, as a stable code: `reasons.Reason`, in `errors`
"""
