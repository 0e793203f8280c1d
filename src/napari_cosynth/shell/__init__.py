"""What the shell's commands do, imported only when one runs."""
