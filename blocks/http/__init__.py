"""Asking any web address."""
