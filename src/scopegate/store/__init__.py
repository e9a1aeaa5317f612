"""Where entities live: one protocol, SQLite today, Postgres and a declarative file behind it later.

Glossary
--------
document   an entity as the Admin API shows it, every field present
change     one committed write; changes are numbered, a snapshot says which it includes
"""
