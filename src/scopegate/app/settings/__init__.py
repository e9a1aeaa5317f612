"""Settings: kong.conf's names, in the environment, in a file, or by default.

table       every setting: name, default, meaning; parsing, help and the page read it
values      texts to values, and what would be right where one is wrong
settings    the settings of one run, and where each came from
kong_only   settings that Kong has and Scopegate has not, and what is said to who sets them
reference   docs/reference/settings.md, made from the table
"""
