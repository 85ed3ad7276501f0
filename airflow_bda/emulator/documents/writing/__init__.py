"""The result documents, shaped as the service writes them."""
