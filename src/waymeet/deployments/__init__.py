"""Deployments: running game servers, from wish to end."""
