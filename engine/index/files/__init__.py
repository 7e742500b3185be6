"""Files that are written safely, watched, locked and mapped."""
