"""What whoever writes a scenario has at hand: a first file, a schema for the editor, a list, a plan."""
