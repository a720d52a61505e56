"""The bells that this domain rings."""

RELAY = "relay"
"""With a node's name as key: what its relay is to serve has changed."""
CONFIRMED = "relay-confirmed"
"""With a node's name as key: the node has applied changes."""
