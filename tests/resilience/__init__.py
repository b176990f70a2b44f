"""Faults of the network, of servers and of users, and a client that lives through all of them."""
