"""HTTP: access control, limits, connections, and the form of errors."""
