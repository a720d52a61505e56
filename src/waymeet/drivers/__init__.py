"""Running game servers: one protocol (`base`), one package per kind of backend."""
