"""What several test modules share: bad inputs, servers, clusters, made photos and films."""
