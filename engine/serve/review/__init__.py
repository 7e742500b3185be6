"""The pages on which reviewers decide about records: the only ones that write."""
