"""The shell around the parts: settings, processes, command line, demo.

Glossary
--------
setting     one line of `scopegate.conf`, or `SCOPEGATE_<NAME>` in the environment
prefix      the state folder: database, policies, certificates, logs and, in `run/`, sockets
supervisor  the parent of all processes: opens the sockets, starts, watches, restarts, drains
child       one process under the supervisor: `control`, `policy-0`, `policy-1` …, `envoy`
stage       children that end together; all stages start at once and end one by one, last first
handover    what a child gets from the supervisor: settings and listening sockets
tether      what ends a child when its supervisor dies
drain       Envoy ends its requests before it ends itself
"""
