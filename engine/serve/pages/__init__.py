"""The HTML pages, exports and the map."""
