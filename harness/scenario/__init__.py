"""What a scenario says: its model, the file it is read from, its rules, and the plan made of it."""
