"""What a request costs: Scopegate beside its peers, in one run on one machine.

    make bench                                        every peer that is installed
    .venv/bin/python -m bench.side_by_side --help

The figure is CPU time per request of the whole process tree, as a multiple of plain Envoy in the
same round; throughput and latency stand beside it. Rounds are interleaved, so that what else the
machine does falls on everybody.

Glossary
--------
contestant   something that proxies to the upstream: a name, how it is started, what is sent to it
peer         a contestant that is not ours: nginx, Envoy, Apache, nginx with Lua
credential   one header line, `authorization: Bearer …` or `cookie: …`; 1,000 different ones
warm         every credential was asked once before the measurement
"""
