"""What the saved questions of an index tell of new and changed records."""
