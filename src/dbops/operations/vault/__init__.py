"""What lies in the vault, whether it is whole, and its second copies."""
