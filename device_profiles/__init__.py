"""What is known about each board: one TOML file each; see README.md to write your own."""
