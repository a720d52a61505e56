"""The lobby service that games talk to (contract 3.13): no key, any origin, a URL of its own for each lobby."""
