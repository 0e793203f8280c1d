"""HoVer-Net (Graham et al. 2019): nuclei and their classes from an image."""
