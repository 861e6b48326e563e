"""From sound to vector: scan, decode, embed, and keep in a catalog."""
