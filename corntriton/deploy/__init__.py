"""What runs a build elsewhere: one small emitter for each target, that reads manifest and plan alone."""
