"""A Music Player Daemon whose queue is kept filled with what sounds like what plays."""
