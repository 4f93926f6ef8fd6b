"""The soak: thousands of tests over every fixture and child mode, after which nothing may have grown."""
