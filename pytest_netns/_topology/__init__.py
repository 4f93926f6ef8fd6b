"""Networks of several namespaces: what they are made of, their text form, and how they are made."""
