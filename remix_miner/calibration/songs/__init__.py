"""Songs that a detector is judged on: probabilities and relative volumes per window, from stems or from labels."""
