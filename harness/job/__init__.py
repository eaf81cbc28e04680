"""Everything that runs beside Spark. It never asks where: the plan holds what differs between targets."""
