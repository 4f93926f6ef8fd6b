"""The networks of FRRouting's topotests, read and made by ours."""
