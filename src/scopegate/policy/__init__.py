"""The service that Envoy asks: may this request pass?

Envoy puts every request that a policy guards to this service (HTTP ext_authz over a Unix socket).
The service finds the policy by its id, lets each step speak and turns the outcome into the answer
that Envoy understands. Whatever goes wrong is a refusal.

Glossary
--------
phase       `head`: asked without the body; `body`: asked again with it, because a step wanted it
outcome     what the steps said (see `scopegate.plugins.access`)
answer      the HTTP answer to Envoy that carries an outcome
library     the policies of this node, loaded from files that are named by their content
"""
