"""Choosing a way, and counting."""
