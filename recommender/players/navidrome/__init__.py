"""A plugin of Navidrome, by which it asks a server of soundalike for similar songs."""
