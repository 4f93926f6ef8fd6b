"""The program that looks at the namespaces of a test whose process has died."""
