"""What a PV of pyepics is made of, a class for each job: known, monitored, connected, read, described."""
