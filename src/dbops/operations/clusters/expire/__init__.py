"""What is past its retention goes, set by set and then WAL; what is the last of its kind stays."""
