"""The sound of tracks over HTTP: as it is stored, or as a WAV file made while it is read."""
