"""Qt and magicgui helpers that know nothing of nuclei: forms, columns, questions, messages."""
