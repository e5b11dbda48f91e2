"""Repair of photos: fading undone, scratches and dust filled. The only place where luma is ever changed."""
