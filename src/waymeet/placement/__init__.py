"""Choosing where a group plays. Pure: no clock, no store, no network; every choice comes with its explanation."""
