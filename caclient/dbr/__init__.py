"""Values of Channel Access: DBR types, alarms, time stamps, and their bytes."""
