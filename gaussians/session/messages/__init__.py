"""What window and worker thread say to each other. Commands are imperative, reports past tense, all frozen.

The worker owns every tensor. The window sends commands through a queue; the worker answers with reports
(never dropped) and with frames in `Latest` slots (only the newest of each view counts). Arrays in messages
are made for the message and never written to again.
"""
