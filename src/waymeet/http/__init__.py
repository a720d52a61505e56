"""HTTP: the typed route table, and what stands between a socket and a handler.

One declaration per endpoint (`endpoint.Endpoint`) feeds the router, the decoding of bodies and queries,
authentication, rate limits, metrics, the OpenAPI document and the docs page. `application.create_app` puts them
together, `server.serve` runs the result.
"""
