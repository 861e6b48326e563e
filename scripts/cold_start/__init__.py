"""What `scripts/evaluate_cold_start.py` stands on: simulated users of real tracks."""
