"""What a node must do, and nothing about who asked for it or who will do it.

The compiler writes this language, `scopegate.envoy` and the policy service read it. It knows
neither Kong's entities nor Envoy's resources: plain frozen dataclasses, comparable and hashable.

Glossary
--------
gateway   everything one node does: listeners, routes in the order in which they are tried,
          clusters, policies
route     a match and what happens then: forward to a cluster, or refuse
cluster   where a service's requests go
policy    what a request must pass before it is forwarded, named by the hash of its content
"""
