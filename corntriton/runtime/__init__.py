"""What runs inside Triton's Python processes; needs numpy alone, and of ours only record and errors."""
