"""Blueprints, and the fields that they ask for."""
