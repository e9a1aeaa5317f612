"""A demo identity provider and an echo upstream: they live apart from the product.

`scopegate demo` shows the story with them; the flow tests make them misbehave on command.
"""
