"""Where scenarios run: one package per target."""
