"""What is run to try the plugin and not shipped with it: ``python -m trials.bench``, and so on."""
