"""What players measure their latency with."""
