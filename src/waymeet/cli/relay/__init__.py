"""`waymeet relay`: what keeps a player from a relay, and how much a relay carries."""
