"""Organisations, their API tokens, and who a request comes from."""
