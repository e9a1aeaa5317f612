"""A demo identity provider and an echo upstream: they live apart from the product.

`scopegate demo` shows the story with them; the flow tests make the provider misbehave on command.

    python -m scopegate_demo.idp --port 8080
    python -m scopegate_demo.echo --port 8081

Nothing here is for production: users, passwords and secrets are printed for all to see.
"""
