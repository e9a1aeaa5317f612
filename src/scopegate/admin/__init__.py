"""The Admin API: Kong's, over the entities that are built.

Made from the entity schemas: a kind of entity needs no code here beyond its schema, and a line in
`hooks` where it has a rule that reaches beyond its own document. `application.create_admin_app` is
the way in.

Glossary
--------
arguments   what a client sent, in a body or a query, before it has types
key         what names an entity in a path: its id, or its endpoint key (a name)
parent      the entity that a foreign key points to; the one that points is its child
endpoint    a path with the methods it knows
finding     something an operator should know about the configuration
publish     bring a committed write to the proxy; live, pending or rejected
"""
