"""What a person reads: tables, the page, plots, and the folder that is deployed."""
