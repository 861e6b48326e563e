"""The page and the JSON API over a catalog: `soundalike serve`."""
