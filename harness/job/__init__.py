"""All that runs beside Spark. It never asks where it runs: what differs between places is in the plan."""
