"""One file of sound to a `TrackAnalysis`, in worker processes under limits."""
