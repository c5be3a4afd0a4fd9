"""Exhaustive runs: every float there is, in shards that merge exactly."""
