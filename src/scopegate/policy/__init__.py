"""The service that decides: may this request pass?

The proxy filter in Envoy sends a check request for every request that a policy guards and that no
cached decision answers (docs/check-protocol.md). The service finds the policy by its id, runs its
steps in order and writes the check response. Whatever goes wrong is a refusal.

Glossary
--------
check       a check request and its check response: one message each way
outcome     what a step decided (see `scopegate.plugins.access`)
library     the policies of this node, loaded from files that are named by their content
"""
