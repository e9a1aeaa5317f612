"""Kong's vocabulary: services, routes, consumers, plugins; their fields, defaults and checks.

`services`, `routes`, `consumers` and `plugins` say which fields there are; `schema.EntitySchema` is
what POST, PATCH and PUT do with them; `kinds.entity_schemas` puts the four together.

Glossary
--------
entity      a service, a route, a consumer or a configured plugin
kind        what sort of entity, plural as in paths and in the store ("services")
document    an entity as the Admin API shows it: JSON-shaped, every field present, unset is None
schema      the one description of an entity's fields that checks, defaults, form inference, the
            `/schemas` endpoints and the reference docs all read
field       one part of a document: type, default, rules, and whether it works now
rule        what one value must fulfil; an entity check: what must hold between several
variant     fields that differ for some documents of a kind: gRPC routes, plugins by name
shorthand   another name under which a value may be sent (`url`, names of older Kong versions)
draft       a whole document that has not been checked yet
makings     where time, ids and random strings come from
violation   what a document breaks, by field, in Kong's words
finding     something an operator should know about the configuration
snapshot    all entities at one moment, typed and immutable
"""
