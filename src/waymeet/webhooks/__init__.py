"""Outgoing webhooks: an outbox, signed deliveries in order per object, retries and replay."""
