"""Training a colorizer from a folder of photos with the NoGAN recipe. Start reading at `nogan.py`."""
