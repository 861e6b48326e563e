"""What `scripts/evaluate_cold_start.py` stands on: made-up listeners of real tracks."""
