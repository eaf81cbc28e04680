"""From a scenario file to a valid scenario: parsing, validation, and the data it refers to."""
