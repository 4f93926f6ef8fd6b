"""One file of HTML about a failed test, which needs nothing else."""
