"""The emulator as a server: one endpoint for BDA and moto's services, its own pages, and the command that starts it."""
