"""The page of the server: its HTML, styles and modules, and the routes that serve them."""
