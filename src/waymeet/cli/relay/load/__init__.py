"""`waymeet relay load`: many hosts and clients at once, and what became of their datagrams."""
