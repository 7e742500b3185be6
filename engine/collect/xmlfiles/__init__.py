"""Readers of XML: PubMed and EndNote."""
