"""Floor 3, I/O: the only sockets, threads and clock of the client."""
