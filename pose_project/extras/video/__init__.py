"""Videos: frames in, people followed from frame to frame, drawn videos out; needs PyAV."""
