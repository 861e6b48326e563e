"""Columns of what is known of all tracks beside their vectors, mapped into memory."""
