"""Who may ask the server what: ASGI middleware that refuses before a route sees the request."""
