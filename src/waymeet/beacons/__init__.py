"""Beacons: which of them answer now, and under which names players get to know them."""
