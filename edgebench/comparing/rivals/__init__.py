"""The tools that edgebench's figures are compared with, one file each."""
