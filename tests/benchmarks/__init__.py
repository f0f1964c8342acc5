"""Speed and memory, as ratios against a named peer or limit measured in the same run. No test asserts a time."""
