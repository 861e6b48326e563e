"""Words to what a library knows, and how well they fit its tracks."""
