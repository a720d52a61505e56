"""Players who reach each other through a relay: the sessions, and speaking over them."""
