"""The tools that edgebench's figures are held against; a file each."""
