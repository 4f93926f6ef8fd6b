"""Pictures of networks: as text, SVG, and for Graphviz and Mermaid."""
