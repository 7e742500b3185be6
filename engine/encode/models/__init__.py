"""Models: known ones, and the folders of originals and of exports."""
