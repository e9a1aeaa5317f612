"""Where entities live: one protocol, SQLite today, Postgres and a declarative file behind it later.

`open_sqlite` (in `sqlite`) opens the embedded database. `sql` keeps the promises of `protocol` on
any SQL database, `tables` says which fields are columns and keys, `snapshots` turns rows into what
the compiler reads, `migrations` brings an older database up to date.

Glossary
--------
document        an entity as the Admin API shows it, every field present
change          one insert, replace or delete; numbered: a snapshot says which it includes
fact            what the outside told us (discovery, keys), kept under a key over restarts
reference       a foreign key: a field of a document that holds the id of another entity
composite key   fields that together name one entity: a plugin's name, service, route, consumer
former secret   a plugin's session secret that was replaced and still opens old sessions
"""
