"""Tables and figures derived from a result, independent of the format that shows them."""
