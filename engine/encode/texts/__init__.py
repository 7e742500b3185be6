"""Texts as an encoder takes them: sentences, passages and token ids."""
