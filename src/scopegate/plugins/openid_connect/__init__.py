"""Kong's openid-connect: the identity provider decides who gets in.

The way of a request, and where each station lives (`access` has the order):

    preflight, client     access → clients (which of several clients; nothing said: the first)
    logout                logout
    callback              login (state, code → tokens), token_calls (the token endpoint)
    session               sessions (cookie opened, checked, saved, ended; the crypto: `session/`)
    bearer, refresh token bearer (where it stands), credentials (found, checked), verification
                          (which checks; the checks themselves: `oidc/`)
    login                 login (who is sent there: navigation)
    requirements          requirements (scopes, audience, groups, roles; `claims_forbidden`)
    consumer              consumer_mapping
    headers               headers (up to the upstream, down to the client), stripping (what of the
                          client's request does not go up)
    no                    refusals (status, challenge; the texts of 401 and 403 are configured:
                          their defaults are in `config_fields/login_fields.py`)

`admission` goes from an accepted credential to the upstream: requirements to headers. Every station
that needs metadata or keys of the provider asks `issuer`, which asks control for newer ones.
Compile time: `config` with `config_fields/` (schema, defaults, checks), `lower` (config and facts
become a policy step), `reference` (the docs page made from the schema). What control fetches of
the provider: `issuer_request`.

Glossary
--------
arguments   query and body of a request, to be read, and to be cut out of what goes up
credential  what a request brings to prove who it is: session cookie, bearer or refresh token
identity    tokens and claims of an accepted credential
entry       an accepted credential on its way through admission
facts       what control learned of the issuer: discovery document and keys
"""
