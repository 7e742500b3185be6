"""The JSON API, its OpenAPI document and the tools for assistants."""
