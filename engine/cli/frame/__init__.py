"""What several commands share: the group, options, and the output of hits."""
