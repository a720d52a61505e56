"""The nodes' door: one WebSocket per node, opened by the node."""
