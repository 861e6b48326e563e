"""Words to music: tags, synonyms, lyrics."""
