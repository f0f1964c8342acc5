"""Where labelled images come from: so far, the sample set."""
