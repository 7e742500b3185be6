"""The values of a record as formats of references need them."""
