"""Game servers, and why they run where they do."""
