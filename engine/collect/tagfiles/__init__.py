"""Readers of text with tags: RIS, MEDLINE, BibTeX and the exports of databases."""
