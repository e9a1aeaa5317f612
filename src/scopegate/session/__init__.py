"""Who is logged in at which browser, kept in sealed cookies, and the little that workers share.

This package knows no gateway words. Time (`now_s`, unix seconds) and randomness (`random_bytes`)
are arguments; the only I/O is in the implementations of the shared state.

Glossary
  root            at least 32 secret bytes from which the key of every sealed message is derived
  key ring        the current root, which seals and opens, and former ones, which only open
                  (sealing)
  purpose         what a sealed text is for; a text sealed for one never opens for another (sealing)
  gateway cookie  a cookie of ours: never sent upstream, refused when it comes twice (cookies)
  chunk           one of up to nine cookies that together carry a value over 4096 bytes (cookies)
  session         a person at a browser who has passed all checks, with the tokens (session)
  clocks          the idling, rolling and absolute timeout of a session (session)
  generation      how often the rolling clock issued a session anew; the one before stays good for
                  ten seconds (session, ended_sessions)
  session cookie  how a session gets into a Cookie header and out of it (session_cookie)
  binding         a text of the caller's that names what a cookie rests on; another text, no session
  browser cookie  a sealed random secret by which we know a browser while it logs in (login_state)
  state           OAuth's `state` parameter: a sealed pending login that names its browser
                  (login_state)
  nonce, PKCE verifier
                  what else ties an answer to its login: derived from the browser's secret and the
                  id in `state` (login_state); the URL of the login: `oidc/authorization.py`
  shared state    a small store with expiry that all workers share (shared_state;
                  sqlite_state, whose calls have a thread of their own: disk_thread)
  ended session   one that was logged out and is refused until it would have expired anyway
                  (ended_sessions)
  flight          one refresh of one session's tokens, whoever asks for it (single_flight)
"""
