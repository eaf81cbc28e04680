"""How the columns of a source are named, split and typed: the same for every command and for the job."""
