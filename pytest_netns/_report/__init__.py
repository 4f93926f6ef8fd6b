"""What is said of a test that failed: in its report, and in the files beside that."""
