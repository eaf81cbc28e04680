"""Studies: several runs of one scenario, and the conclusions from all of them."""
