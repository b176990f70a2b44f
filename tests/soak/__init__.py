"""What takes too long for a test: memory and wake-ups of a program that watches 5,000 PVs for a while."""
