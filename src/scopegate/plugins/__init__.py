"""A folder per plugin, with known file names.

config.py   the schema of `config`: fields, defaults, checks (Kong's vocabulary)
lower.py    compile time: entity + facts → a policy step, or what Envoy does itself
access.py   request time: what Python decides

and a row in registry.py (what a row says: built.py), which is all that the rest of the gateway
knows of it. What plugins are given: lowering.py at compile time, ports.py and access.py at request
time.

Glossary
--------
access      the phase in which a request is let through, answered or refused
step        one plugin's part of a policy, prepared once and asked for every request
ports       what plugins need from outside: network, clock, chance, state shared by workers
outcome     what a step says of a request: Continue, Refusal, Redirect, Respond or NeedBody
"""
