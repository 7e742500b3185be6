"""The JSON API, its OpenAPI document, and the MCP tools."""
