"""What was found -> files that reference managers, screening tools and spreadsheets read."""
