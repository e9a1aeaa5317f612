"""The control process: Admin API, store, compiler, xDS server, issuers, status and metrics.

__main__        puts it together and serves (python -m scopegate.app.control)
publisher       from a committed write to a proxy that has it
issuer_book     what is known of identity providers, and when they are asked again
fetch_budget    how often unknown key ids may cause that
issuer_watch    whether they answer meanwhile
policy_files    policies as files, for the workers
config_refusal  what the proxy refused, told with its routes
last_good       the last configuration that the proxy took, kept over restarts
endpoints       status, readiness, metrics; facts for the workers
"""
