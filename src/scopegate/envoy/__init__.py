"""From the gateway to a real Envoy: resources, the xDS server that hands them out, the process.

Protobuf classes (the top-level package `envoy`, from xds-protos) stay inside this package.

Glossary
--------
resources      what Envoy gets: clusters (CDS), listeners (LDS), routes (RDS)
ADS            one stream over which Envoy gets all of them, in an order that breaks nothing
ACK, NACK      Envoy takes a version of one kind of resource, or refuses it
proxy filter   our HTTP filter in Envoy, a native module (`proxy_filter/`)
local reply    an answer that Envoy makes itself
bootstrap      the file that Envoy starts with: where its configuration comes from, and limits
"""
