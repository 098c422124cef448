"""The command `ai4h`: datasets to the platform and back, from a terminal."""
