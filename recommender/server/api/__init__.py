"""Routes of the JSON API, a module a family."""

from recommender.server.api import operation

ROUTERS = (operation.router,)
"""Every family of routes."""
