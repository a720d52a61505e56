"""Small programs to try things out with. They import nothing of ours, so that they start as fast as a real server."""
