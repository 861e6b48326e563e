"""Parts of `scripts/evaluate.py`: how good a model's neighbours are, beside what they must beat."""
