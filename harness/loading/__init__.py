"""Loading of a scenario: parsing, validation, and checks of the data it refers to."""
