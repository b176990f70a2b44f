"""Floor 2, the rules of Channel Access: bytes and `now` in, commands and deadlines out. No I/O, no thread, no clock."""
