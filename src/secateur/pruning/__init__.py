"""What to cut: criteria, groups, allocation, masks, schedules and methods."""
