"""The fields of openid-connect's configuration, in groups; `config` puts them together.

Each field says its type, its default, what it means, and what of it works now: `later(...)` marks
a field that must stay at its default, `works=` the values that work, `limits=` anything else.
Source: contract openid-connect.md §19 and openid-connect-fields.json.

Glossary
--------
group       fields that belong together, under one heading of the reference page
n/v         `…_names` and `…_values`: two lists that are read in step
claim path  the names that lead from the top of a token to a claim, one step each
"""
