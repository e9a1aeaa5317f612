"""Kong's vocabulary: services, routes, consumers, plugins; their fields, defaults and checks.

Glossary
--------
entity      a service, a route, a consumer or a configured plugin
document    an entity as the Admin API shows it: JSON-shaped, every field present, unset is None
schema      the one description of an entity's fields that checks, defaults, form inference, the
            `/schemas` endpoints and the reference docs all read
snapshot    all entities at one moment, typed and immutable
"""
