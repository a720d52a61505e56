"""How calls are made: what every noun needs, and nothing of any noun."""
