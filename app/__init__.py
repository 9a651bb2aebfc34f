"""The studio: a window on a run. The only place that imports dearpygui."""
