"""What crosses a border between stages: frozen dataclasses and array types."""
