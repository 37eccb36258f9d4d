"""Write the revision that begins a change: short, readable, and the author's to edit."""
