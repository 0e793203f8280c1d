"""What is wrong with data sets: damaged samples, copies, slides in two splits."""
