"""What `scripts/evaluate_cold_start.py` stands on."""
