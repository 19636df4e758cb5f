"""What a user writes: models, and the files beside them; YAML and validation live here and nowhere else."""
