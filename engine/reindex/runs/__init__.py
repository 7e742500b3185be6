"""The runs that make a generation, or go back to one."""
