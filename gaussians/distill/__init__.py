"""Distillation: teachers, their soft labels, the structural loss, and a student within its budget."""
