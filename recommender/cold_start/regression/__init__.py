"""Factors of items predicted from their sound: maps, their fitting, an artist's other items."""
