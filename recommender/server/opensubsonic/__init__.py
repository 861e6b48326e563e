"""OpenSubsonic under `/rest`: what players of music ask a server."""
