"""Relay sessions: who may talk to whom through which relay."""
