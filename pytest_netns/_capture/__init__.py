"""Frames, recorded by a program beside pytest, and written as pcapng."""
