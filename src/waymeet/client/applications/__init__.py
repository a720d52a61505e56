"""What is run: applications and their versions (contract 3.1 to 3.3)."""
