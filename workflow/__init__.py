"""From a configuration to a plan of cached steps; imports nothing that is slow."""
