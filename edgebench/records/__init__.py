"""What is written down: jobs, results, settings, and how they become JSON and TOML."""
