"""What turns an artifact into another format: one small file each; see README.md to write your own."""
