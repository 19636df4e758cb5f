"""Records a flow on symbols and gives the path that a request takes; knows nothing of Triton."""
