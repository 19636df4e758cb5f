"""Shows people what was found: graphs and tables for the terminal."""
