"""Arrays of sound to log-mel spectrograms, tempo, key, loudness and alignments."""
