"""One module per client: a function per kind of work, each in that client's best documented way."""
