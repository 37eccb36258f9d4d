"""Tables partitioned by time: always a partition for now and for what comes, never a stalled application."""
