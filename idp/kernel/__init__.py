"""What every room may use: words and values without I/O (standard library only)."""
