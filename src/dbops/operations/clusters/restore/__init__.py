"""Bring a cluster back: into a scratch folder, proved there, or in place."""
