"""What the saved questions of an index report of new and changed records."""
