"""What runs inside Triton's Python processes; needs numpy and the standard library, and of ours only record and errors."""
