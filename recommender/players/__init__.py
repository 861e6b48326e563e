"""What brings answers into the players that people use."""
