"""From a question to ranked neighbours."""
