"""What Scopegate says of itself: log lines and metrics.

Glossary
--------
event       one thing that happened; one line on stderr
redaction   the last line of defence: takes out of an event what looks like a credential, although
            nobody should have put it there
process     who speaks: `supervisor`, `control`, `policy-0` …
outcome     how something ended, one word from a short list
reason      a stable code of a refusal, snake_case
"""
