"""AudioMuse-AI's HTTP answers, so that plugins written for it can ask this server."""
