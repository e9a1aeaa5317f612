"""From the gateway to a real Envoy: resources, the xDS server that hands them out, the process.

Protobuf classes (the top-level package `envoy`, from xds-protos) stay inside this package.

Glossary
--------
resources      what Envoy is told: clusters (CDS), filters (ECDS), listeners (LDS), routes (RDS)
ADS            one stream over which Envoy gets all of them, in an order that breaks nothing
ACK, NACK      Envoy's yes or no to a version of one kind of resource
ask            the filters that put a request to the policy service: first the head, then with body
apply          the Lua filter that does to a request what the policy service answered
local reply    an answer that Envoy makes itself
bootstrap      the file that Envoy starts with: where its configuration comes from, and limits
"""
