"""Orchestration: one flow a file, no arithmetic."""
