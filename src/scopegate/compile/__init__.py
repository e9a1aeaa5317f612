"""From a snapshot of entities and facts to what a node must do, and findings for the operator.

Everything here is pure: the same input gives the same output, byte for byte.

Glossary
--------
snapshot    all entities at one moment
facts       what the outside told us (discovery documents, keys)
finding     something the operator should mend or know
split       a route with paths of several kinds, seen as several routes, each with a priority
chain       the plugins that run on a route, in order
lowering    from a configured plugin to a policy step
as it arrives   a path as Envoy hands it on: normalised, still percent-encoded
"""
