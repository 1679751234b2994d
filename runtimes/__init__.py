"""What opens an artifact and runs it: one small file each; see README.md to write your own."""
